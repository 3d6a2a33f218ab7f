//! A channel's messages as frames for the agent.

use std::io;

use devgate_protocol::frame::{self, Kind};
use russh::ChannelMsg;
use serde::Serialize;

use crate::ssh::signals;

/// Appends the frame that a channel's message becomes; none for what has no
/// meaning to an agent.
pub(super) fn push(frames: &mut Vec<u8>, message: ChannelMsg) -> io::Result<()> {
    match message {
        ChannelMsg::Data { data } => raw(frames, Kind::Data, &data),
        ChannelMsg::Eof => raw(frames, Kind::Eof, &[]),
        ChannelMsg::RequestPty {
            term,
            col_width,
            row_height,
            pix_width,
            pix_height,
            terminal_modes,
            ..
        } => {
            let size = frame::Size {
                columns: col_width,
                rows: row_height,
                width: pix_width,
                height: pix_height,
            };
            let modes = terminal_modes
                .into_iter()
                .map(|(mode, argument)| (mode as u8, argument))
                .collect();
            json(frames, Kind::Pty, &frame::PtyRequest { term, size, modes })
        }
        ChannelMsg::WindowChange {
            col_width,
            row_height,
            pix_width,
            pix_height,
        } => {
            let size = frame::Size {
                columns: col_width,
                rows: row_height,
                width: pix_width,
                height: pix_height,
            };
            json(frames, Kind::WindowChange, &size)
        }
        ChannelMsg::SetEnv {
            variable_name: name,
            variable_value: value,
            ..
        } => json(frames, Kind::Environment, &frame::Variable { name, value }),
        ChannelMsg::RequestShell { .. } => raw(frames, Kind::Shell, &[]),
        ChannelMsg::Exec { command, .. } => raw(frames, Kind::Exec, &command),
        ChannelMsg::RequestSubsystem { name, .. } => raw(frames, Kind::Subsystem, name.as_bytes()),
        ChannelMsg::Signal { signal } => {
            raw(frames, Kind::Signal, signals::name(&signal).as_bytes())
        }
        ChannelMsg::EndOfWrite => raw(frames, Kind::EndOfWrite, &[]),
        ChannelMsg::AgentForward { .. } => raw(frames, Kind::AuthAgent, &[]),
        ChannelMsg::RequestX11 {
            single_connection,
            x11_authentication_protocol: protocol,
            x11_authentication_cookie: cookie,
            x11_screen_number: screen,
            ..
        } => json(
            frames,
            Kind::X11,
            &frame::X11Request {
                single_connection,
                protocol,
                cookie,
                screen,
            },
        ),
        _ => Ok(()),
    }
}

fn raw(frames: &mut Vec<u8>, kind: Kind, payload: &[u8]) -> io::Result<()> {
    frames.extend_from_slice(&frame::header(kind, payload.len())?);
    frames.extend_from_slice(payload);
    Ok(())
}

fn json(frames: &mut Vec<u8>, kind: Kind, payload: &impl Serialize) -> io::Result<()> {
    raw(frames, kind, &serde_json::to_vec(payload)?)
}
