#![doc = include_str!("README.md")]

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod jobs;
pub mod observe;
pub mod runtime;
pub mod services;
pub mod store;
