//! The network between browsers and the server, which can be cut.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use actix_web::rt;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A TCP proxy: byte for byte, for as long as it is whole.
pub struct Network {
    pub url: String,
    whole: Rc<Cell<bool>>,
    /// Replaced by each cut: whoever holds the old one hears that it has ended.
    line: Rc<RefCell<watch::Sender<()>>>,
}

impl Network {
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let whole = Rc::new(Cell::new(true));
        let line = Rc::new(RefCell::new(watch::Sender::new(())));
        let (is_whole, current) = (Rc::clone(&whole), Rc::clone(&line));
        rt::spawn(async move {
            while let Ok((mut near, _address)) = listener.accept().await {
                if !is_whole.get() {
                    continue;
                }
                let mut cut = current.borrow().subscribe();
                rt::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { url, whole, line }
    }

    /// From now on nobody gets through, and what is open ends.
    pub fn cut(&self) {
        self.whole.set(false);
        self.line.replace(watch::Sender::new(()));
    }

    pub fn mend(&self) {
        self.whole.set(true);
    }
}
