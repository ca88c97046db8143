//! The framework through its public API, over the store in memory.

mod boundary;
mod codec;
mod execute;
mod faulty;
mod given;
mod replay;
mod snapshot;
mod wallet;
