//! The bytes of an ONNX model: the part of protocol buffers that it takes, and its messages by their field numbers
//! (onnx.proto of ONNX 1.12, IR version 8).

/// A message under construction.
#[derive(Debug, Clone, Default)]
pub struct Message(Vec<u8>);

/// Kinds of values on the wire: a number in groups of seven bits; four bytes; a length and so many bytes.
const VARINT: u64 = 0;
const FIXED32: u64 = 5;
const BYTES: u64 = 2;

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A whole number.
    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3 | VARINT);
        // Two's complement: a negative number takes ten bytes.
        self.varint(value as u64);
        self
    }

    /// A number in single precision.
    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | FIXED32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Bytes, or a text.
    pub fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.varint(field << 3 | BYTES);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// A message within.
    pub fn message(self, field: u64, value: Message) -> Self {
        self.bytes(field, value.0)
    }

    /// Messages within, one after the other.
    pub fn messages(self, field: u64, values: impl IntoIterator<Item = Message>) -> Self {
        values.into_iter().fold(self, |all, value| all.message(field, value))
    }

    /// The bytes.
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// `TensorProto.DataType`.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// `AttributeProto`: whole numbers.
pub fn ints(name: &str, values: &[i64]) -> Message {
    values.iter().fold(Message::default().bytes(1, name), |m, v| m.int(8, *v)).int(20, 7)
}

/// `AttributeProto`: one whole number.
pub fn int(name: &str, value: i64) -> Message {
    Message::default().bytes(1, name).int(3, value).int(20, 2)
}

/// `AttributeProto`: one number.
pub fn float(name: &str, value: f32) -> Message {
    Message::default().bytes(1, name).float(2, value).int(20, 1)
}

/// `NodeProto`.
pub fn node(kind: &str, inputs: &[&str], output: &str, attributes: Vec<Message>) -> Message {
    let node = inputs.iter().fold(Message::default(), |m, input| m.bytes(1, input)).bytes(2, output);
    node.bytes(3, output).bytes(4, kind).messages(5, attributes)
}

/// `TensorProto` in single precision.
pub fn floats(name: &str, shape: &[usize], values: impl IntoIterator<Item = f32>) -> Message {
    let raw: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
    shape.iter().fold(Message::default(), |m, s| m.int(1, *s as i64)).int(2, FLOAT).bytes(8, name).bytes(9, raw)
}

/// `TensorProto` of whole numbers along one axis.
pub fn indices(name: &str, values: &[i64]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Message::default().int(1, values.len() as i64).int(2, INT64).bytes(8, name).bytes(9, raw)
}

/// `ValueInfoProto` of rows of `columns` numbers, as many as there are.
pub fn rows(name: &str, columns: usize) -> Message {
    let dims = [Message::default().bytes(2, "n"), Message::default().int(1, columns as i64)];
    let tensor = Message::default().int(1, FLOAT).message(2, Message::default().messages(1, dims));
    Message::default().bytes(1, name).message(2, Message::default().message(1, tensor))
}

/// `ModelProto` of a graph, with the operations of opset 17.
pub fn model(graph: Message, doc: &str) -> Message {
    let opset = Message::default().bytes(1, "").int(2, 17);
    let version = env!("CARGO_PKG_VERSION");
    Message::default().int(1, 8).bytes(2, "ndsm").bytes(3, version).bytes(6, doc).message(7, graph).message(8, opset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_bytes_of_the_encoding() {
        // The examples of the description of the wire format.
        assert_eq!(Message::default().int(1, 150).done(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().bytes(2, "testing").done(), b"\x12\x07testing");
        assert_eq!(Message::default().message(3, Message::default().int(1, 150)).done(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::default().int(1, -1).done(), [8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        assert_eq!(Message::default().float(2, 1.0).done(), [0x15, 0, 0, 0x80, 0x3f]);
    }
}
