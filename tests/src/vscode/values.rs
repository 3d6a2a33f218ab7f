//! Values of VS Code's IPC (`ipc.ts`, `serialize` and `deserialize`).

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `undefined`.
    Undefined,
    /// A string.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// Anything else, as JSON.
    Json(serde_json::Value),
    /// A whole number.
    Number(usize),
}

impl Value {
    /// Appends the value's encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Undefined => out.push(0),
            Self::Text(text) => {
                out.push(1);
                write_length(text.len(), out);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Bytes(bytes) => {
                out.push(3);
                write_length(bytes.len(), out);
                out.extend_from_slice(bytes);
            }
            Self::List(values) => {
                out.push(4);
                write_length(values.len(), out);
                for value in values {
                    value.write(out);
                }
            }
            Self::Json(value) => {
                let text = value.to_string();
                out.push(5);
                write_length(text.len(), out);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Number(number) => {
                out.push(6);
                write_length(*number, out);
            }
        }
    }

    /// Takes one value from the front of `bytes`.
    #[track_caller]
    pub fn read(bytes: &mut &[u8]) -> Self {
        let kind = take(bytes, 1)[0];
        match kind {
            0 => Self::Undefined,
            1 => Self::Text(String::from_utf8(counted(bytes)).expect("strings are UTF-8")),
            2 | 3 => Self::Bytes(counted(bytes)),
            4 => {
                let length = read_length(bytes);
                Self::List((0..length).map(|_| Self::read(bytes)).collect())
            }
            5 => Self::Json(serde_json::from_slice(&counted(bytes)).expect("objects are JSON")),
            6 => Self::Number(read_length(bytes)),
            other => panic!("no value begins with {other}"),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Writes a length, seven bits a byte, the lowest first.
fn write_length(mut length: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits fit");
        length >>= 7;
        if length == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn read_length(bytes: &mut &[u8]) -> usize {
    let mut length = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    length
}

fn counted(bytes: &mut &[u8]) -> Vec<u8> {
    let length = read_length(bytes);
    take(bytes, length).to_vec()
}

#[track_caller]
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes
        .split_at_checked(count)
        .expect("the value is complete");
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_read_back() {
        let value = Value::List(vec![
            Value::Undefined,
            Value::from("name"),
            Value::Bytes(vec![7; 300]),
            Value::Json(serde_json::json!({"a": [1, 2]})),
            Value::Number(70_000),
        ]);
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(Value::read(&mut rest), value);
        assert!(rest.is_empty());
    }
}
