//! The store while it is in use: measured, verified, exported.

use axum::{
    extract::State,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use crate::{
    api::{
        Ctx, content,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::error::Fault,
};

#[derive(Serialize)]
pub struct Measures {
    databases: [Measured; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    database: &'static str,
    live_bytes: u64,
    file_bytes: u64,
    transactions: u64,
    barriers: u64,
    compactions: u64,
}

/// What its files hold, and what it has done since it was opened.
pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Measures>> {
    let stats = s.domain(|n| n.vnfm().store().stats()).await?;
    let databases = [("live", stats.live), ("history", stats.history)].map(|(database, d)| Measured {
        database,
        live_bytes: d.live_bytes,
        file_bytes: d.file_bytes,
        transactions: d.transactions,
        barriers: d.barriers,
        compactions: d.compactions,
    });
    Ok(Json(Measures { databases }))
}

#[derive(Serialize)]
pub struct Report {
    sound: bool,
    tables: Vec<Table>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Table {
    database: &'static str,
    table: &'static str,
    records: u64,
}

pub async fn verify(State(s): Ctx, _: NoQuery) -> Answer<Json<Report>> {
    let report = s.domain(|n| n.vnfm().store().verify()).await?;
    Ok(Json(Report {
        sound: report.is_sound(),
        tables: report.tables.iter().map(|t| Table { database: t.database, table: t.table, records: t.records }).collect(),
        problems: report.problems.clone(),
    }))
}

/// The whole store as of one moment. The key of sealed secrets is not in it.
pub async fn export(State(s): Ctx, _: NoQuery) -> Answer<Response> {
    let file = s
        .domain(|n| {
            let vnfm = n.vnfm();
            let path = vnfm.layout().uploads().join(format!("upload-export-{}", uuid::Uuid::new_v4().simple()));
            vnfm.store().export(&path)?;
            let bad = |e: std::io::Error| Fault::transient(format!("the export cannot be read: {e}")).with_source(e);
            let file = std::fs::File::open(&path).map_err(bad)?;
            // It lives as long as it is being sent.
            std::fs::remove_file(&path).map_err(bad)?;
            let size = file.metadata().map_err(bad)?.len();
            Ok((file, size))
        })
        .await?;
    let (file, size) = file;
    let head = [(CONTENT_TYPE, "application/octet-stream"), (CONTENT_DISPOSITION, "attachment; filename=\"store.bothy\"")];
    Ok((head, content::stream(tokio::fs::File::from_std(file), size)).into_response())
}
