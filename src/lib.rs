#![doc = include_str!("README.md")]

pub mod domain;
pub mod engine;
pub mod http;
pub mod runtime;
pub mod services;
pub mod store;
