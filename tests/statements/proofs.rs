//! Proofs of hand-overs: written with their orders, read by those who look at them.

use std::sync::Arc;
use std::time::Duration;

use ordercast::domain::{
    Command, Draft, NewProof, OrderId, Picture, PictureType, Proof, ProofContent, ProofId,
    ProofKind, ProofPoint, ProofRequired, Role, TenantId,
};
use ordercast::store::Outcome;

use crate::bindings::{Walk, actor};

const DAY: Duration = Duration::from_hours(24);

/// All that a courier hands over.
pub(crate) fn at_the_door() -> ProofRequired {
    ProofRequired { photo: true, signature: true, pin: true, ..ProofRequired::default() }
}

fn upload(point: ProofPoint, kind: ProofKind, content: ProofContent) -> Command {
    let hash = vec![u8::try_from(kind as u32).unwrap(); 32];
    Command::AddProof(Box::new(NewProof { id: ProofId::new(), point, kind, content, hash }))
}

pub(crate) async fn proofs(walk: &Walk) {
    let (database, tenant) = (&walk.database, walk.tenant);
    let required = ProofRequired {
        scan: true,
        pickup: [ProofKind::Scan, ProofKind::Photo].into_iter().collect(),
        back: [ProofKind::Signature].into_iter().collect(),
        ..ProofRequired::default()
    };
    let draft = Draft {
        external_id: "proved".to_owned(),
        window: None,
        proof_required: required,
        ..walk.draft()
    };
    let order = draft.id;
    let placed = walk.place(draft, None).await;
    assert!(matches!(placed, Outcome::Placed(_)), "{placed:?}");
    let ops = || actor(Role::Ops, "o");
    walk.change(ops(), order, Command::Accept { prep_min: Some(10) }).await;
    walk.change(ops(), order, Command::Assign { driver: walk.drivers[0].id }).await;

    let rider = || actor(Role::Driver, &walk.drivers[0].id.to_string());
    let picture = Picture(Arc::from(&b"\x89PNG"[..]));
    let contents = [
        (ProofKind::Photo, ProofContent::Inline(PictureType::Png, picture)),
        (ProofKind::Scan, ProofContent::Text("parcel 7".to_owned())),
        (ProofKind::Signature, ProofContent::Url("https://example.org/s".to_owned())),
    ];
    for (kind, content) in contents {
        walk.change(rider(), order, upload(ProofPoint::Pickup, kind, content)).await;
    }
    let here = Proof { kind: ProofKind::Photo, reference: "https://example.org/p".to_owned() };
    walk.change(rider(), order, Command::Pickup { proofs: vec![here] }).await;
    // What the order remembers is read back.
    let (_, sheet) = database.find_order(tenant, order).await.unwrap().unwrap();
    assert_eq!(sheet.order.proof_required, required);
    assert_eq!(sheet.order.proofs.len(), 4);
    assert_eq!(sheet.order.proofs_of(ProofPoint::Pickup).iter().count(), 3);

    let shown = database.list_proofs(tenant, order, DAY).await.unwrap();
    let what: Vec<_> = shown
        .iter()
        .map(|it| {
            (it.kind, it.bytes, it.url.as_deref(), it.reference.as_deref(), it.hash.is_some())
        })
        .collect();
    assert_eq!(
        what,
        [
            (ProofKind::Photo, Some(4), None, None, true),
            (ProofKind::Scan, None, None, Some("parcel 7"), true),
            (ProofKind::Signature, None, Some("https://example.org/s"), None, true),
            (ProofKind::Photo, None, Some("https://example.org/p"), None, false),
        ]
    );
    assert!(shown.iter().all(|it| it.by == rider() && it.attempt == 1 && it.order == order));
    let found = database.find_picture(tenant, order, shown[0].id, DAY).await.unwrap().unwrap();
    assert_eq!(
        (found.content_type.as_str(), found.data.as_slice()),
        ("image/png", &b"\x89PNG"[..])
    );
    // Nothing of others, of another order, without bytes, or too old.
    for (whose, of, which, age) in [
        (TenantId::new(), order, shown[0].id, DAY),
        (tenant, OrderId::new(), shown[0].id, DAY),
        (tenant, order, shown[1].id, DAY),
        (tenant, order, shown[0].id, Duration::ZERO),
    ] {
        assert!(database.find_picture(whose, of, which, age).await.unwrap().is_none());
    }
    assert_eq!(database.list_proofs(TenantId::new(), order, DAY).await.unwrap(), []);
    assert_eq!(database.list_proofs(tenant, order, Duration::ZERO).await.unwrap(), []);
    // What comes after the end does not move it.
    walk.change(ops(), order, Command::Deliver { pin: None, proofs: vec![] }).await;
    let closed = async || {
        let sql = "select closed_at::text from orders where id = $1";
        let row = walk.client.query_one(sql, &[&order.uuid()]).await.unwrap();
        row.try_get::<_, Option<String>>(0).unwrap().expect("an end")
    };
    let end = closed().await;
    let text = ProofContent::Text("parcel 7".to_owned());
    walk.change(rider(), order, upload(ProofPoint::Dropoff, ProofKind::Scan, text)).await;
    assert_eq!(closed().await, end);
}
