//! The server through its port: every test has a server of its own.

mod batch;
mod hostile;
mod house;
mod several_streams;
mod streams;
