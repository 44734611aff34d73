//! What may change while the status stays: the preparation time and the platform's details.

use crate::domain::{Fact, Order, Patch, Refusal, Status};

use super::advance::Advance;
use super::{estimate, eta, fields, leg};

/// The preparation takes longer or shorter: minutes from now.
pub(super) fn prep(
    advance: &mut Advance<'_>,
    prep_min: i32,
    why: Option<&String>,
) -> Result<(), Refusal> {
    fields::prep_min(prep_min)?;
    if let Some(why) = why {
        fields::short("why", why)?;
    }
    let ready_eta = estimate::ready_eta(&advance.order, prep_min, advance.facts);
    advance.order.prep_min = Some(prep_min);
    advance.order.ready_eta = Some(ready_eta);
    eta::refresh(&mut advance.order, advance.facts);
    if advance.order.search.at.is_some() {
        leg::plan_search(&mut advance.order, advance.facts);
    }
    advance.record(Fact::PrepChanged { prep_min, ready_eta, why: why.cloned() });
    Ok(())
}

/// A remark, at any time.
pub(super) fn note(advance: &mut Advance<'_>, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(fields::invalid("note", "must not be empty".to_owned()));
    }
    fields::short("note", text)?;
    advance.record(Fact::Noted { note: text.to_owned() });
    Ok(())
}

/// Which details a patch would really change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one per detail, as in the event")]
pub(super) struct Changes {
    note: bool,
    dropoff: bool,
    window: bool,
    meta: bool,
}

impl Changes {
    pub(super) fn between(order: &Order, patch: &Patch) -> Self {
        Self {
            note: patch.note.as_ref().is_some_and(|note| *note != order.note),
            dropoff: patch.dropoff.is_some() && patch.dropoff != order.dropoff,
            window: patch.window.is_some() && patch.window != order.window,
            meta: patch.meta.as_ref().is_some_and(|meta| *meta != order.meta),
        }
    }

    pub(super) const fn any(self) -> bool {
        self.note || self.dropoff || self.window || self.meta
    }
}

/// Details change; each has its own last moment.
pub(super) fn update(advance: &mut Advance<'_>, patch: &Patch) -> Result<(), Refusal> {
    let changes = Changes::between(&advance.order, patch);
    let status = advance.order.status;
    if changes.dropoff && matches!(status, Status::PickedUp | Status::Returning) {
        return Err(Refusal::AlreadyPickedUp);
    }
    if changes.window && !matches!(status, Status::Scheduled | Status::Placed) {
        return Err(Refusal::InvalidTransition);
    }
    check(patch)?;
    apply(&mut advance.order, patch);
    if status == Status::Scheduled {
        let store = advance.facts.store;
        let order = &mut advance.order;
        order.release_at = order.window.map(|window| estimate::release_at(order, window, store));
    }
    if changes.dropoff && status != Status::Scheduled {
        eta::refresh(&mut advance.order, advance.facts);
    }
    let Changes { note, dropoff, window, meta } = changes;
    advance.record(Fact::Updated { note, dropoff, window, meta });
    Ok(())
}

fn check(patch: &Patch) -> Result<(), Refusal> {
    if let Some(Some(note)) = &patch.note {
        fields::short("note", note)?;
    }
    if let Some(dropoff) = &patch.dropoff {
        fields::dropoff(dropoff)?;
    }
    if let Some(window) = patch.window {
        fields::window(window)?;
    }
    patch.meta.as_ref().map_or(Ok(()), fields::meta)
}

fn apply(order: &mut Order, patch: &Patch) {
    if let Some(note) = &patch.note {
        order.note.clone_from(note);
    }
    if let Some(dropoff) = &patch.dropoff {
        order.dropoff = Some(dropoff.clone());
    }
    if let Some(window) = patch.window {
        order.window = Some(window);
    }
    if let Some(meta) = &patch.meta {
        order.meta = meta.clone();
    }
}
