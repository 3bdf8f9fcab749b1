//! TCP streams, counted in an exact window.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use culvert::runtime::os::clock;

use crate::{PATIENCE, Side, wait_until};

/// How long between two looks at whether every stream has bytes.
const LOOK: Duration = Duration::from_millis(5);

fn streams(side: Side, address: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    match side {
        Side::Bind => {
            let listener = TcpListener::bind(address)?;
            (0..count).map(|_| listener.accept().map(|(stream, _)| stream)).collect()
        }
        Side::Connect => (0..count).map(|_| connect(address)).collect(),
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let end = clock::now() + PATIENCE;
    loop {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Err(_) if clock::now() < end => wait_until(clock::now() + LOOK * 10),
            done => return done,
        }
    }
}

/// Writes to every stream until the sink goes away.
pub(crate) fn source(side: Side, address: SocketAddr, count: usize) -> Result<(), Box<dyn Error>> {
    let streams = streams(side, address, count)?;
    thread::scope(|scope| {
        for mut stream in streams {
            scope.spawn(move || {
                let block = vec![0x5a; 128 << 10];
                while stream.write_all(&block).is_ok() {}
            });
        }
    });
    Ok(())
}

/// Reads every stream; `[from, span, tail]` is the window.
pub(crate) fn sink(side: Side, address: SocketAddr, count: usize, window: [Duration; 3]) -> Result<(), Box<dyn Error>> {
    let streams = streams(side, address, count)?;
    let counts: Vec<AtomicU64> = streams.iter().map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for (mut stream, count) in streams.iter().zip(&counts) {
            scope.spawn(move || {
                let mut block = vec![0; 128 << 10];
                while let Ok(length @ 1..) = stream.read(&mut block) {
                    count.fetch_add(length as u64, Ordering::Relaxed);
                }
            });
        }
        let result = watch(&counts, window);
        for stream in &streams {
            // one that has ended already needs no end
            let _ = stream.shutdown(Shutdown::Both);
        }
        result
    })
}

fn watch(counts: &[AtomicU64], [from, span, tail]: [Duration; 3]) -> Result<(), Box<dyn Error>> {
    let read = || counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let end = clock::now() + PATIENCE;
    while read().contains(&0) {
        if clock::now() > end {
            return Err("a stream carries nothing".into());
        }
        wait_until(clock::now() + LOOK);
    }
    wait_until(clock::now() + from);
    let (begun, before) = (clock::now(), read());
    wait_until(begun + span);
    let (ended, after) = (clock::now(), read());
    let each: Vec<String> = after.iter().zip(&before).map(|(after, before)| (after - before).to_string()).collect();
    writeln!(io::stdout(), "{:.6} {}", (ended - begun).as_secs_f64(), each.join(" "))?;
    io::stdout().flush()?;
    wait_until(ended + tail);
    Ok(())
}
