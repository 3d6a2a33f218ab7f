//! The tunnels to the workspaces' agents.
//!
//! A tunnel is a control connection and a way to get streams. Those of agents on
//! this host are dialled by the gateway; others dial in. An agent may hold
//! several; the newest that takes streams gets them.
