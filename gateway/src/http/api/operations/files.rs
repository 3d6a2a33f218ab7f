//! The files of a workspace, which its agent reads and writes.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{self, Delete, Get, Head, Patch, Post, Put};

use crate::http::api::document::{BYTES, Operation};
use crate::http::api::wire::{
    AppendQuery, CompleteUpload, CreateUpload, DeleteFileQuery, DownloadTreeQuery, Entry, FindLine,
    FindQuery, GrepLine, GrepQuery, ListQuery, MakeFolder, MakeLink, MoveFile, PathQuery,
    SetFileMode, StatQuery, TreeQuery, Unpacked, Upload, WriteQuery,
};
use crate::names::WorkspaceId;

/// An entity tag, or what stands for any.
const ETAG: &str = "^(\\*|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$";

/// A digest (RFC 9530 §2).
const DIGEST: &str = "^[a-z0-9-]+=:[A-Za-z0-9+/=]*:(, *[a-z0-9-]+=:[A-Za-z0-9+/=]*:)*$";

/// A date, which counts for nothing where it is none.
const DATE: &str = "^.*$";

/// Media types of archives.
const ARCHIVES: [&str; 3] = ["application/x-tar", "application/gzip", "application/zip"];

/// Returns the operations.
pub(super) fn all() -> Vec<Operation> {
    let mut all = looking();
    all.extend(reading());
    all.extend(writing());
    all.extend(changes());
    all.extend(trees());
    all.extend(uploads());
    all.extend(searches());
    all
}

/// Begins to describe one.
fn file(method: HttpMethod, path: &'static str, id: &'static str, summary: &str) -> Operation {
    Operation::new(method, path, id, summary)
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .of_agent()
        .errors(&[403, 507])
}

fn looking() -> Vec<Operation> {
    vec![
        file(
            Get,
            "/workspaces/{id}/files/stat",
            "statFile",
            "Show a file or folder",
        )
        .query::<StatQuery>()
        .answers::<Entry>(StatusCode::OK, "what is there"),
        file(
            Get,
            "/workspaces/{id}/files/list",
            "listFiles",
            "List a folder",
        )
        .about("Symbolic links are shown as such.")
        .query::<ListQuery>()
        .answers_page::<Entry>("what is in it, by name"),
    ]
}

fn reading() -> Vec<Operation> {
    let read = |method, id, summary| {
        file(method, "/workspaces/{id}/files/content", id, summary)
            .query::<PathQuery>()
            .header(
                "Range",
                "which bytes, one range (RFC 9110 §14)",
                "^[!-~ ]{1,200}$",
            )
            .header(
                "If-Match",
                "answers 412 where it has none of these tags",
                ETAG,
            )
            .header(
                "If-Unmodified-Since",
                "answers 412 where it was changed since",
                DATE,
            )
            .header(
                "If-None-Match",
                "answers 304 where it has one of these tags",
                ETAG,
            )
            .header(
                "If-Modified-Since",
                "answers 304 where it wasn't changed since",
                DATE,
            )
            .header(
                "If-Range",
                "`Range` counts only where it has this tag",
                "^[!-~ ]{1,200}$",
            )
            .answers_plainly(StatusCode::NOT_MODIFIED, &[], "it is the one that is known")
            .errors(&[412, 416])
    };
    let headers = |operation: Operation| {
        operation
            .answers_header(StatusCode::OK, "ETag", "as in the file's entry")
            .answers_header(StatusCode::OK, "Last-Modified", "when it was last changed")
            .answers_header(StatusCode::OK, "Accept-Ranges", "`bytes`")
    };
    vec![
        headers(
            read(Get, "readFile", "Read a file")
                .answers_bytes(StatusCode::OK, &[BYTES], "all of it")
                .answers_bytes(StatusCode::PARTIAL_CONTENT, &[BYTES], "the range"),
        )
        .answers_header(
            StatusCode::PARTIAL_CONTENT,
            "Content-Range",
            "which bytes of how many",
        ),
        headers(
            read(Head, "headFile", "Ask for a file's size and tag")
                .answers_plainly(StatusCode::OK, &[], "its headers")
                .answers_plainly(StatusCode::PARTIAL_CONTENT, &[], "the range's headers"),
        ),
    ]
}

fn writing() -> Vec<Operation> {
    vec![
        file(
            Put,
            "/workspaces/{id}/files/content",
            "writeFile",
            "Write a file",
        )
        .about(
            "All or nothing: the file is replaced once all has come, and nothing is left of \
                 what was cut off. A symbolic link stays, and what it names is written.",
        )
        .query::<WriteQuery>()
        .header(
            "If-Match",
            "writes only over a file with one of these tags",
            ETAG,
        )
        .header(
            "If-None-Match",
            "`*` writes only where there is nothing yet",
            ETAG,
        )
        .header(
            "If-Unmodified-Since",
            "writes only over a file that wasn't changed since",
            DATE,
        )
        .header(
            "Content-Digest",
            "what has come must have this digest: `sha-256=:…:`",
            DIGEST,
        )
        .bytes(&[BYTES], "what it is to hold")
        .answers::<Entry>(StatusCode::CREATED, "written, and new")
        .answers::<Entry>(StatusCode::OK, "written in another one's place")
        .errors(&[412]),
        file(
            Post,
            "/workspaces/{id}/files/append",
            "appendFile",
            "Append to a file",
        )
        .about(
            "What has come before the request was cut off is in the file, unless a digest is \
                 said.",
        )
        .query::<AppendQuery>()
        .header(
            "If-Match",
            "appends only to a file with one of these tags",
            ETAG,
        )
        .header(
            "If-None-Match",
            "`*` appends only where there is nothing yet",
            ETAG,
        )
        .header(
            "If-Unmodified-Since",
            "appends only to a file that wasn't changed since",
            DATE,
        )
        .header(
            "Content-Digest",
            "nothing is appended that has another digest: `sha-256=:…:`",
            DIGEST,
        )
        .bytes(&[BYTES], "what to append")
        .answers::<Entry>(StatusCode::OK, "appended")
        .errors(&[412]),
    ]
}

fn changes() -> Vec<Operation> {
    vec![
        file(
            Post,
            "/workspaces/{id}/files/folder",
            "makeFolder",
            "Make a folder",
        )
        .body::<MakeFolder>()
        .answers::<Entry>(StatusCode::CREATED, "made")
        .answers::<Entry>(StatusCode::OK, "there already, which `parents` minds not"),
        file(
            Post,
            "/workspaces/{id}/files/move",
            "moveFile",
            "Move or rename a file or folder",
        )
        .body::<MoveFile>()
        .answers::<Entry>(StatusCode::OK, "where it is now"),
        file(
            Post,
            "/workspaces/{id}/files/copy",
            "copyFile",
            "Copy a file or folder",
        )
        .about(
            "With all that is in it, permissions, times and symbolic links. The copy \
                 appears once it is whole.",
        )
        .body::<MoveFile>()
        .answers::<Entry>(StatusCode::OK, "the copy"),
        file(
            Post,
            "/workspaces/{id}/files/mode",
            "setFileMode",
            "Set permissions",
        )
        .body::<SetFileMode>()
        .answers::<Entry>(StatusCode::OK, "set"),
        file(
            Post,
            "/workspaces/{id}/files/link",
            "makeLink",
            "Make a symbolic link",
        )
        .body::<MakeLink>()
        .answers::<Entry>(StatusCode::CREATED, "made"),
        file(
            Delete,
            "/workspaces/{id}/files",
            "deleteFile",
            "Delete a file or folder",
        )
        .about("A symbolic link goes itself, and never what it names.")
        .query::<DeleteFileQuery>()
        .header("If-Match", "deletes only what has one of these tags", ETAG)
        .header(
            "If-Unmodified-Since",
            "deletes only what wasn't changed since",
            DATE,
        )
        .answers_plainly(StatusCode::NO_CONTENT, &[], "deleted")
        .errors(&[412]),
    ]
}

fn trees() -> Vec<Operation> {
    vec![
        file(
            Get,
            "/workspaces/{id}/files/tree",
            "downloadTree",
            "Download a folder as an archive",
        )
        .about(
            "The archive is made while it is sent; one that breaks off isn't whole. What the \
                 workspace's user may not read is looked for before: it is refused with 403, or \
                 left out where that is asked for. A name that is no UTF-8 can be in a tar \
                 archive alone; with zip it is refused with 409.",
        )
        .query::<DownloadTreeQuery>()
        .answers_bytes(StatusCode::OK, &ARCHIVES, "the archive")
        .answers_header(
            StatusCode::OK,
            "Left-Out",
            "how many files and folders aren't in it, with `unreadable=skip`",
        ),
        file(
            Put,
            "/workspaces/{id}/files/tree",
            "uploadTree",
            "Unpack an archive into a folder",
        )
        .about(
            "The folder is made where it is missing. An entry that leads out of it is \
                 refused with 403, what came before it stays.",
        )
        .query::<TreeQuery>()
        .header(
            "Content-Digest",
            "what has come must have this digest, or is refused once it is unpacked: \
                 `sha-256=:…:`",
            DIGEST,
        )
        .bytes(
            &[ARCHIVES[0], ARCHIVES[1], ARCHIVES[2], BYTES],
            "the archive",
        )
        .answers::<Unpacked>(StatusCode::OK, "unpacked"),
    ]
}

fn uploads() -> Vec<Operation> {
    const ONE: &str = "/workspaces/{id}/files/uploads/{upload}";
    let one = |method, path, id, summary| {
        file(method, path, id, summary).text_parameter(
            "upload",
            "the upload's id",
            "^[a-z0-9]{16}$",
        )
    };
    vec![
        file(
            Post,
            "/workspaces/{id}/files/uploads",
            "createUpload",
            "Begin an upload in pieces",
        )
        .about("It can be resumed for 24 hours after the last piece.")
        .body::<CreateUpload>()
        .answers::<Upload>(StatusCode::CREATED, "begun"),
        one(
            Get,
            ONE,
            "showUpload",
            "Show how much of an upload is there",
        )
        .answers::<Upload>(StatusCode::OK, "the upload")
        .answers_header(StatusCode::OK, "Upload-Offset", "how much is there"),
        one(Patch, ONE, "sendUpload", "Send a piece of an upload")
            .about(
                "What has come before a piece was cut off counts. A piece that begins elsewhere \
                 than where the upload ends is refused with 409 and the code `wrong-offset`; the \
                 problem's `offset` says where.",
            )
            .needs_header("Upload-Offset", "where the piece begins", "^[0-9]{1,16}$")
            .header(
                "Content-Digest",
                "the piece must have this digest: `sha-256=:…:`",
                DIGEST,
            )
            .bytes(&[BYTES], "the piece")
            .answers::<Upload>(StatusCode::OK, "the upload")
            .answers_header(StatusCode::OK, "Upload-Offset", "how much is there"),
        one(
            Post,
            "/workspaces/{id}/files/uploads/{upload}/complete",
            "completeUpload",
            "Put an upload in its place",
        )
        .body::<CompleteUpload>()
        .answers::<Entry>(StatusCode::OK, "the file"),
        one(Delete, ONE, "cancelUpload", "Give an upload up").answers_plainly(
            StatusCode::NO_CONTENT,
            &[],
            "gone",
        ),
    ]
}

fn searches() -> Vec<Operation> {
    vec![
        file(
            Get,
            "/workspaces/{id}/files/find",
            "findFiles",
            "Find files by name",
        )
        .about("JSON a line (`FindLine`) as it is found; the last one has `done`.")
        .query::<FindQuery>()
        .answers_lines::<FindLine>("what was found"),
        file(
            Get,
            "/workspaces/{id}/files/grep",
            "grepFiles",
            "Find files by content",
        )
        .about("JSON a line (`GrepLine`) as it is found; the last one has `done`.")
        .query::<GrepQuery>()
        .answers_lines::<GrepLine>("what was found"),
    ]
}
