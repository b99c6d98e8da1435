//! What holds for every stream and every frame, tried on many.

mod client_frames;
mod frames;
mod prefixes;
mod server_frames;
mod streams;
