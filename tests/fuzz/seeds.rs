//! Writes the files of this version that no corpus keeps, `reference` and `checkpoint`, to DIR/TARGET/written.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "corpus".into()));
    for (name, _) in ndsm_fuzz::targets::ALL {
        if let Some(bytes) = ndsm_fuzz::targets::written(name) {
            std::fs::create_dir_all(dir.join(name))?;
            std::fs::write(dir.join(name).join("written"), bytes)?;
        }
    }
    Ok(())
}
