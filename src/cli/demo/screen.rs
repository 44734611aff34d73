//! The terminal: one calm picture that is drawn over itself, or a line now and then.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::picture::Picture;

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Rows and columns of a terminal that does not say.
const USUAL_SIZE: (usize, usize) = (24, 80);

/// Standard output, as a terminal or not.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    /// Rows and columns.
    size: (usize, usize),
    /// Rows of the picture that is there now.
    drawn: usize,
    doors_shown: bool,
    order_shown: bool,
    last_line: Option<Instant>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            is_terminal,
            size: if is_terminal { size() } else { USUAL_SIZE },
            drawn: 0,
            doors_shown: false,
            order_shown: false,
            last_line: None,
        }
    }

    /// Writes text that stays, under what is there.
    pub(super) fn say(&mut self, text: &str) {
        self.drawn = 0;
        write(&format!("{text}\n"));
    }

    /// The window has another size: what was drawn may stand anywhere.
    pub(super) fn resize(&mut self) {
        self.size = size();
        self.drawn = 0;
        write("\x1b[2J\x1b[H");
        self.doors_shown = false;
    }

    /// Shows the evening as it is now.
    pub(super) fn show(&mut self, picture: &Picture) {
        if picture.doors.is_empty() {
            return;
        }
        if !self.doors_shown {
            self.doors_shown = true;
            // Whole, so that they can be clicked and copied: they take several rows.
            for (name, url) in &picture.doors {
                self.say(&format!("{name:<10} {url}\n"));
            }
            self.say("Open one and the part is yours: its player stands back.\n");
        }
        if self.is_terminal {
            self.draw(picture);
            return;
        }
        if let Some(order) = picture.order_url.as_ref().filter(|_| !self.order_shown) {
            self.order_shown = true;
            self.say(&format!("a customer {order}\n"));
        }
        let due = self.last_line.is_none_or(|last| last.elapsed() >= LINE_INTERVAL);
        if due {
            self.last_line = Some(Instant::now());
            self.say(&picture.line());
        }
    }

    fn draw(&mut self, picture: &Picture) {
        let (rows, columns) = self.size;
        let (mut lines, notable) = picture.lines();
        let url = picture.order_url.as_deref().unwrap_or("(the next one, in a moment)");
        // Whole, so that it can be clicked and copied: it may take several rows.
        let whole_url = format!("a customer {url}");
        let url_rows = whole_url.chars().count().div_ceil(columns.max(1));
        if lines.len() + notable.len() + url_rows + 3 < rows {
            lines.push(String::new());
            lines.extend(notable);
        }
        // Over what is there, in one piece, so that nothing flickers.
        let mut text = String::new();
        if self.drawn > 0 {
            append(&mut text, format_args!("\x1b[{}F", self.drawn));
        }
        for line in &lines {
            let fitting: String = line.chars().take(columns.saturating_sub(1)).collect();
            append(&mut text, format_args!("{fitting}\x1b[K\n"));
        }
        append(&mut text, format_args!("\x1b[K\n\x1b[J{whole_url}\n"));
        self.drawn = lines.len() + 1 + url_rows;
        write(&text);
    }
}

fn append(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a String never fails");
}

/// A terminal that is gone is no reason to end the evening.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Rows and columns, as the program `stty` says.
fn size() -> (usize, usize) {
    let mut asked = Command::new("stty");
    asked.arg("size").stdin(Stdio::inherit()).stderr(Stdio::null());
    let said = asked.output().ok().and_then(|said| String::from_utf8(said.stdout).ok());
    let numbers = said.as_deref().unwrap_or_default().split_whitespace();
    let mut numbers = numbers.filter_map(|number| number.parse().ok()).filter(|n| *n > 0);
    numbers.next().zip(numbers.next()).unwrap_or(USUAL_SIZE)
}
