//! The server through its port: every test has a server of its own.

mod hostile;
mod house;
mod streams;
