//! The command line: `serve`, `demo`, `migrate`, `tenant`, `token`.

mod admin;
mod database;
mod demo;
mod serve;
mod tenant;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Overrides};
use crate::telemetry;

/// Tracks orders live: one durable log in PostgreSQL, heard by every socket within milliseconds.
#[derive(Debug, Parser)]
#[command(name = "ordercast", version, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// A file of settings; config/default.toml lists them all
    #[arg(long, global = true, value_name = "FILE", env = "ORDERCAST_CONFIG")]
    config: Option<PathBuf>,
    /// PostgreSQL to use, instead of a private one
    #[arg(long, global = true, value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Data folder of the private PostgreSQL
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Listen {
    /// Address to listen on
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on; 0 takes a free one
    #[arg(long)]
    port: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve orders over HTTP and sockets
    Serve(#[command(flatten)] Listen),
    /// Play an evening in a city, and account for every event
    Demo(demo::Demo),
    /// Bring the database's schema up to date
    Migrate,
    /// Change the settings of a tenant
    Tenant(tenant::Tenant),
    /// Make an API key or a token
    Token(admin::Token),
}

/// Runs the command line; the process's exit code.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            fail(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn fail(error: &anyhow::Error) {
    eprintln!("ordercast: {error:#}");
}

fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let (host, port) = match &arguments.command {
        Command::Serve(listen) => (listen.host.clone(), listen.port),
        Command::Demo(demo) => (demo.listen.host.clone(), demo.listen.port),
        Command::Migrate | Command::Tenant(_) | Command::Token(_) => (None, None),
    };
    let defaults = match &arguments.command {
        Command::Demo(_) => demo::Demo::defaults(),
        Command::Serve(_) | Command::Migrate | Command::Tenant(_) | Command::Token(_) => vec![],
    };
    let overrides = Overrides {
        host,
        port,
        data_dir: common.data_dir.clone(),
        database_url: common.database_url.clone(),
        defaults,
    };
    let config = Config::load(common.config.as_deref(), &overrides)?;
    telemetry::start(&config.log);
    match arguments.command {
        Command::Serve(_) => serve::serve(config),
        Command::Demo(demo) => demo::demo(config, &demo),
        Command::Migrate => admin::migrate(config),
        Command::Tenant(tenant) => tenant::tenant(config, &tenant),
        Command::Token(token) => admin::token(config, &token),
    }
}
