//! The chapter's script with a real kubectl, from the first apply to the last delete.

use serde_json::Value;

use super::kubectl::{Namespace, kubeconfig};
use super::milestones;
use super::page::Page;
use super::watches::Watches;

const SET: &str = "postgres-statefulset";
const SEATS: [&str; 3] = [
    "postgres-statefulset-0",
    "postgres-statefulset-1",
    "postgres-statefulset-2",
];
const CLAIMS: [&str; 3] = [
    "postgres-data-postgres-statefulset-0",
    "postgres-data-postgres-statefulset-1",
    "postgres-data-postgres-statefulset-2",
];

/// Body, claim and volume of a seat: what has to change and what has to stay.
fn seat(page: &Page, n: usize) -> [Value; 3] {
    let pod = page.card("Pod", SEATS[n]).expect("a Pod");
    let claim = page
        .card("PersistentVolumeClaim", CLAIMS[n])
        .expect("a claim");
    assert_eq!(pod["claims"][0]["claim"], CLAIMS[n]);
    [
        pod["uid"].clone(),
        claim["uid"].clone(),
        claim["volume"].clone(),
    ]
}

fn assert_successor(before: &[Value; 3], after: &[Value; 3]) {
    assert_ne!(before[0], after[0], "another body");
    assert_eq!(before[1..], after[1..], "the same claim and volume");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run"]
async fn needs_cluster_the_chapter_is_told_as_the_cluster_lived_it() {
    let namespace = Namespace::new("chapter");
    let watches = Watches::begin(&namespace);
    let page = Page::open(&kubeconfig(), &namespace.name).await;
    let folder = Namespace::chapter();
    let scale = |replicas: u32| {
        namespace.kubectl(&[
            "scale",
            "statefulset",
            SET,
            &format!("--replicas={replicas}"),
        ]);
    };

    // Apply: the claim waits, a volume is made for it, the Pod mounts it.
    namespace.kubectl(&["apply", "-f", &folder]);
    page.told(0, SET, &["sts.created", "sts.ready"]).await;
    page.told(
        0,
        SEATS[0],
        &["pod.created", "pod.scheduled", "pod.mounting", "pod.ready"],
    )
    .await;
    page.told(0, CLAIMS[0], &["pvc.created.waiting", "pvc.bound"])
        .await;
    let first = seat(&page, 0);
    let volume = first[2].as_str().expect("bound").to_owned();
    page.told(0, &volume, &["pv.provisioned"]).await;
    namespace.psql(
        SEATS[0],
        "CREATE TABLE inventory (id serial PRIMARY KEY, name varchar(50))",
    );
    namespace.psql(
        SEATS[0],
        "INSERT INTO inventory (name) VALUES ('apple'), ('orange')",
    );
    let rows = || namespace.psql(SEATS[0], "SELECT * FROM inventory ORDER BY id");
    assert_eq!(rows(), "1|apple\n2|orange\n");

    // Kill: the seat stays, another body takes it and mounts what the old one had.
    let mark = page.mark();
    namespace.kubectl(&["delete", "pod", SEATS[0]]);
    let same = page
        .told(
            mark,
            SEATS[0],
            &[
                "pod.killing",
                "pod.stopped",
                "pod.gone.seat",
                "pod.recreated",
                "pod.scheduled",
                "pod.mounting",
                "pod.ready.same",
            ],
        )
        .await;
    assert_eq!(same["claim"], CLAIMS[0]);
    assert_eq!(same["volume"], volume);
    let second = seat(&page, 0);
    assert_successor(&first, &second);
    assert_eq!(rows(), "1|apple\n2|orange\n");

    // Force: nobody waits for the old body, and the disk is the same again.
    let mark = page.mark();
    namespace.kubectl(&["delete", "pod", SEATS[0], "--force", "--grace-period=0"]);
    page.told(mark, SEATS[0], &["pod.recreated", "pod.ready.same"])
        .await;
    assert_successor(&second, &seat(&page, 0));
    assert_eq!(rows(), "1|apple\n2|orange\n");

    // Up to three, in order, a claim for each.
    let mark = page.mark();
    scale(3);
    page.told(mark, SET, &["sts.scaled.up", "sts.ready"]).await;
    for n in [1, 2] {
        page.told(mark, SEATS[n], &["pod.created", "pod.ready"])
            .await;
        page.told(mark, CLAIMS[n], &["pvc.created.waiting", "pvc.bound"])
            .await;
    }
    let (one_ready, _) = page
        .until(mark, "seat 1 is ready", |it| {
            is(&it.data, "pod.ready", SEATS[1])
        })
        .await;
    let (two_made, _) = page
        .until(mark, "seat 2 is made", |it| {
            is(&it.data, "pod.created", SEATS[2])
        })
        .await;
    assert!(one_ready < two_made, "each waits for the one before it");
    let seat_1 = seat(&page, 1);
    namespace.psql(SEATS[1], "CREATE TABLE kept (word text)");
    namespace.psql(SEATS[1], "INSERT INTO kept VALUES ('still here')");

    // Down to one, from the highest, and the claims stay.
    let mark = page.mark();
    scale(1);
    page.told(mark, SET, &["sts.scaled.down"]).await;
    for n in [1, 2] {
        page.told(mark, SEATS[n], &["pod.killing", "pod.gone.scaled"])
            .await;
    }
    let (two_gone, _) = page
        .until(mark, "seat 2 is gone", |it| {
            is(&it.data, "pod.gone.scaled", SEATS[2])
        })
        .await;
    let (one_killed, _) = page
        .until(mark, "seat 1 is stopped", |it| {
            is(&it.data, "pod.killing", SEATS[1])
        })
        .await;
    assert!(two_gone < one_killed, "the highest goes first");
    for claim in CLAIMS {
        let card = page
            .card("PersistentVolumeClaim", claim)
            .expect("the claim stays");
        assert_eq!(card["status"], "Bound");
    }

    // Up to two: the seat finds its old claim and what is in it.
    let mark = page.mark();
    scale(2);
    page.told(mark, SEATS[1], &["pod.recreated", "pod.ready.same"])
        .await;
    assert_successor(&seat_1, &seat(&page, 1));
    assert_eq!(
        namespace.psql(SEATS[1], "SELECT word FROM kept"),
        "still here\n"
    );

    // A claim in use: marked, held, and gone with its last Pod; its volume goes with it.
    let mark = page.mark();
    namespace.kubectl(&["delete", "pvc", CLAIMS[1], "--wait=false"]);
    let held = page.told(mark, CLAIMS[1], &["pvc.deleting.held"]).await;
    assert_eq!(held["pods"], SEATS[1]);
    let claim = page.card("PersistentVolumeClaim", CLAIMS[1]).expect("held");
    assert_eq!(claim["status"], "Terminating");
    assert_eq!(claim["phase"], "Bound");
    assert_eq!(claim["finalizers"][0], "kubernetes.io/pvc-protection");
    scale(1);
    page.told(mark, CLAIMS[1], &["pvc.gone.delete"]).await;
    let lost = seat_1[2].as_str().expect("a name");
    page.told(mark, lost, &["pv.released.delete", "pv.gone.wiped"])
        .await;

    // Without the set: no Pod, and the claims stay.
    let mark = page.mark();
    namespace.kubectl(&["delete", "statefulset", SET]);
    page.told(mark, SET, &["sts.gone"]).await;
    page.until(mark, "the last Pod goes", |it| {
        it.event == "deleted" && it.data["card"]["name"] == SEATS[0]
    })
    .await;
    assert!(page.card("PersistentVolumeClaim", CLAIMS[0]).is_some());

    // Applied again, it finds its rows.
    let mark = page.mark();
    namespace.kubectl(&["apply", "-f", &folder]);
    page.told(mark, SEATS[0], &["pod.ready.same"]).await;
    assert_successor(&second, &seat(&page, 0));
    assert_eq!(rows(), "1|apple\n2|orange\n");

    // Cleaned up: the data ends with the claim, not before.
    let mark = page.mark();
    namespace.kubectl(&["delete", "-f", &folder]);
    page.told(mark, SET, &["sts.gone"]).await;
    assert!(page.card("PersistentVolumeClaim", CLAIMS[0]).is_some());
    namespace.kubectl(&["delete", "pvc", "--all"]);
    page.told(mark, CLAIMS[0], &["pvc.gone.delete"]).await;
    page.told(mark, &volume, &["pv.released.delete", "pv.gone.wiped"])
        .await;

    let compared = milestones::agree(&watches, &page, &namespace.name).await;
    assert!(compared >= 14, "only {compared} objects were seen");
    let odd: Vec<String> = page
        .stories(0)
        .into_iter()
        .filter(|it| it.starts_with("gap.") || it.starts_with("link.lost"))
        .collect();
    assert!(odd.is_empty(), "nothing was missed: {odd:?}");
}

fn is(data: &Value, key: &str, pod: &str) -> bool {
    data["story"]["key"] == key && data["story"]["params"]["pod"] == pod
}
