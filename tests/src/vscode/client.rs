//! A client of a VS Code server's management connection.

use std::net::TcpStream;
use std::path::Path;

use serde_json::json;

use super::protocol::Protocol;
use super::{Value, commit};

/// Kinds of IPC messages (`ipc.ts`).
const PROMISE: usize = 100;
const INITIALIZE: usize = 200;
const SUCCESS: usize = 201;

/// The authority that the client's URIs carry; the server takes it off.
const AUTHORITY: &str = "ssh-remote+workspace";

/// A window's connection to its server.
pub struct Client {
    protocol: Protocol,
    connection_token: String,
    reconnection_token: String,
    requests: usize,
}

impl Client {
    /// Does the handshake over a connection to the server, through whatever
    /// forward it was made.
    ///
    /// `reconnection_token` names the window for as long as it lives.
    #[track_caller]
    pub fn connect(stream: TcpStream, connection_token: &str, reconnection_token: &str) -> Self {
        let path = path(connection_token, reconnection_token, "false");
        let mut client = Self {
            protocol: Protocol::open(stream, &path),
            connection_token: connection_token.to_owned(),
            reconnection_token: reconnection_token.to_owned(),
            requests: 0,
        };
        client.authenticate();
        // The channel client's first message is its context.
        let context = json!({"remoteAuthority": AUTHORITY, "clientId": "renderer"});
        client.send(&[Value::Json(context)]);
        let greeting = client.receive();
        assert_eq!(
            greeting[0],
            Value::List(vec![Value::Number(INITIALIZE)]),
            "the server's channels are ready"
        );
        client
    }

    /// Goes on with the same window over a new connection. The server must
    /// remember it.
    #[track_caller]
    pub fn reconnect(&mut self, stream: TcpStream) {
        let path = path(&self.connection_token, &self.reconnection_token, "true");
        self.protocol.reopen(stream, &path);
        self.authenticate();
    }

    /// Writes a file in the workspace.
    #[track_caller]
    pub fn write_file(&mut self, file: &Path, content: &[u8]) {
        let options = json!({"create": true, "overwrite": true, "unlock": false, "atomic": false});
        self.call(
            "writeFile",
            vec![
                uri(file),
                Value::Bytes(content.to_vec()),
                Value::Json(options),
            ],
        );
    }

    /// Reads a file in the workspace.
    #[track_caller]
    pub fn read_file(&mut self, file: &Path) -> Vec<u8> {
        match self.call("readFile", vec![uri(file)]) {
            Value::Bytes(bytes) => bytes,
            other => panic!("no content but {other:?}"),
        }
    }

    #[track_caller]
    fn authenticate(&mut self) {
        self.protocol.send_control(&json!({
            "type": "auth",
            "auth": self.connection_token,
            "data": "00000000000000000000",
        }));
        let sign = self.protocol.receive_control();
        assert_eq!(sign["type"], "sign", "{sign}");
        // Without the proprietary signing module both sides take the token.
        self.protocol.send_control(&json!({
            "type": "connectionType",
            "commit": commit(),
            "signedData": self.connection_token,
            "desiredConnectionType": 1,
        }));
        let answer = self.protocol.receive_control();
        assert_eq!(answer["type"], "ok", "{answer}");
    }

    /// Calls the remote file system.
    #[track_caller]
    fn call(&mut self, command: &str, arguments: Vec<Value>) -> Value {
        let id = self.requests;
        self.requests += 1;
        self.send(&[
            Value::List(vec![
                Value::Number(PROMISE),
                Value::Number(id),
                Value::from("remoteFilesystem"),
                Value::from(command),
            ]),
            Value::List(arguments),
        ]);
        loop {
            let mut answer = self.receive();
            let Value::List(header) = &answer[0] else {
                panic!("an answer without a header: {answer:?}");
            };
            if header.get(1) != Some(&Value::Number(id)) {
                continue; // an event of the server's own
            }
            assert_eq!(header[0], Value::Number(SUCCESS), "{command}: {answer:?}");
            return answer.pop().expect("an answer has a body");
        }
    }

    fn send(&mut self, values: &[Value]) {
        let mut message = Vec::new();
        for value in values {
            value.write(&mut message);
        }
        self.protocol.send_regular(&message);
    }

    #[track_caller]
    fn receive(&mut self) -> Vec<Value> {
        let message = self.protocol.receive_regular();
        let mut rest = message.as_slice();
        let mut values = Vec::new();
        while !rest.is_empty() {
            values.push(Value::read(&mut rest));
        }
        values
    }
}

fn path(connection_token: &str, reconnection_token: &str, reconnection: &str) -> String {
    format!(
        "/?tkn={connection_token}&reconnectionToken={reconnection_token}\
         &reconnection={reconnection}&skipWebSocketFrames=false"
    )
}

fn uri(file: &Path) -> Value {
    Value::Json(json!({
        "$mid": 1,
        "scheme": "vscode-remote",
        "authority": AUTHORITY,
        "path": file.to_string_lossy(),
    }))
}
