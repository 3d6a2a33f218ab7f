/** Terminals and logs of workspaces, as terminals of the editor. */
import * as vscode from "vscode";

import { ROOT } from "../../../gateway/web/src/api/operation";
import { fill } from "../api/gateway";
import { explain, Problem } from "../api/problem";
import type { Terminal } from "../api/types";
import { isStartable } from "../describe";
import { TerminalLink, type TerminalSize } from "../terminal-link";
import { start } from "./life";
import type { Place } from "./model";

/** Lines of a log that are shown at once. */
const TAIL = 1000;

/** Longest wait to hear whether a terminal is still there, in milliseconds: the link is tried again after it. */
const PATIENCE = 10_000;

const USUAL: TerminalSize = { columns: 80, rows: 24 };

/** Opens a terminal of a workspace: a new one, or one that goes on there. */
export async function openTerminal(place: Place): Promise<void> {
  const { live, workspace } = place;
  if (isStartable(workspace.state)) await start(place);
  const { items } = await live.gateway.request("GET", "/workspaces/{id}/terminals", {
    path: { id: workspace.id },
  });
  const running = items.filter(({ state }) => state === "running");
  const chosen = running.length === 0 ? null : await choose(running);
  if (chosen === undefined) return;
  const pty = new Shell(place, chosen?.id);
  const name = `${workspace.name}: devgate`;
  vscode.window.createTerminal({ name, pty, iconPath: new vscode.ThemeIcon("terminal-linux") }).show();
}

/** Returns a terminal, `null` for a new one, or nothing where the person gave up. */
async function choose(running: Terminal[]): Promise<Terminal | null | undefined> {
  const picks = running.map((terminal) => ({
    label: `$(terminal) ${terminal.title === "" ? (terminal.process ?? terminal.id) : terminal.title}`,
    description: terminal.attached > 0 ? "somebody looks at it" : "goes on without anybody",
    terminal,
  }));
  const fresh = { label: "$(add) New terminal", description: "", terminal: null };
  return (await vscode.window.showQuickPick([fresh, ...picks], { placeHolder: "Which terminal?" }))?.terminal;
}

/** A terminal in a workspace. Closing the editor's ends the look at it; the shell ends with `exit`. */
class Shell implements vscode.Pseudoterminal {
  private readonly written = new vscode.EventEmitter<string>();
  private readonly closed = new vscode.EventEmitter<number | undefined>();
  private readonly renamed = new vscode.EventEmitter<string>();
  readonly onDidWrite = this.written.event;
  readonly onDidClose = this.closed.event;
  readonly onDidChangeName = this.renamed.event;
  private link: TerminalLink | undefined;
  private size = USUAL;
  private isClosed = false;

  constructor(
    private readonly place: Place,
    private known: string | undefined,
  ) {}

  open(size: vscode.TerminalDimensions | undefined): void {
    if (size) this.size = { columns: size.columns, rows: size.rows };
    void this.run().catch((error: unknown) => {
      this.written.fire(`\r\n\u001b[31m${explain(error)}\u001b[0m\r\n`);
    });
  }

  private async run(): Promise<void> {
    const { gateway } = this.place.live;
    const path = { id: this.place.workspace.id };
    this.known ??= (
      await gateway.request("POST", "/workspaces/{id}/terminals", { path, body: this.size })
    ).id;
    const terminal = this.known;
    if (this.isClosed) return;
    const address =
      ROOT + fill("/workspaces/{id}/terminals/{terminal}/attach", { path: { ...path, terminal } });
    const screen = {
      write: (text: string) => this.written.fire(text),
      titled: (title: string) => this.renamed.fire(title === "" ? this.place.workspace.name : title),
      lost: () => this.written.fire("\r\n\u001b[2mThe connection is lost; trying again…\u001b[0m\r\n"),
      ended: (status: number | undefined) => this.closed.fire(status),
    };
    const alive = async () => {
      try {
        const signal = AbortSignal.timeout(PATIENCE);
        const { items } = await gateway.request("GET", "/workspaces/{id}/terminals", { path, signal });
        return items.some(({ id, state }) => id === terminal && state === "running");
      } catch (error) {
        // Where nobody answers it may come back; where the gateway refuses it doesn't.
        return !(error instanceof Problem && error.isFinal);
      }
    };
    this.link = new TerminalLink(gateway, address, this.size, screen, alive);
    await this.link.run();
  }

  close(): void {
    this.isClosed = true;
    this.link?.close();
  }

  handleInput(text: string): void {
    this.link?.type(text);
  }

  setDimensions(size: vscode.TerminalDimensions): void {
    this.size = { columns: size.columns, rows: size.rows };
    this.link?.resize(this.size);
  }
}

/** A log of a workspace's. */
export type LogKind = "agent" | "startup";

/** Follows a log until its terminal is closed. */
export function followLog(place: Place, kind: LogKind): void {
  const name = `${place.workspace.name}: ${kind === "agent" ? "agent's log" : "start-up"}`;
  const pty = new Log(place, kind === "agent" ? "/workspaces/{id}/logs" : "/workspaces/{id}/startup/log");
  vscode.window.createTerminal({ name, pty, iconPath: new vscode.ThemeIcon("output") }).show();
}

class Log implements vscode.Pseudoterminal {
  private readonly written = new vscode.EventEmitter<string>();
  private readonly closed = new vscode.EventEmitter<undefined>();
  readonly onDidWrite = this.written.event;
  readonly onDidClose = this.closed.event;
  private readonly stop = new AbortController();
  private tail = TAIL;

  constructor(
    private readonly place: Place,
    private readonly path: string,
  ) {}

  open(): void {
    const { live, workspace } = this.place;
    const carried = { path: { id: workspace.id }, query: { tail: this.tail } };
    void live.gateway.follow(this.path, carried, {
      signal: AbortSignal.any([this.stop.signal, live.signal]),
      // The stream begins with the last lines each time.
      opened: () => this.written.fire("\u001bc\u001b[3J"),
      event: ({ kind, data }) => {
        if (kind === "log") this.written.fire(`${data}\r\n`);
      },
      broken: (error) => {
        const ended = error instanceof Problem && error.code === "ended";
        if (!ended) this.written.fire(`\u001b[31m${explain(error)}\u001b[0m\r\n`);
      },
    });
  }

  close(): void {
    this.stop.abort();
  }

  handleInput(text: string): void {
    // ^C, as with `tail -f`.
    if (text !== "\u0003") return;
    this.stop.abort();
    this.closed.fire(undefined);
  }
}
