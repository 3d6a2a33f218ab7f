/** One terminal, drawn by xterm.js. */
import "@xterm/xterm/css/xterm.css";

import { useComputedColorScheme } from "@mantine/core";
import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal } from "@xterm/xterm";
import { useEffect, useImperativeHandle, useRef, type Ref } from "react";

import { MONOSPACE } from "../theme";
import { DARK, LIGHT } from "./colours";
import { asApplicationKey } from "./control";
import { TerminalLink, type LinkState } from "./link";
import classes from "./View.module.css";

export interface Keyboard {
  /** Types a text into the terminal and leaves the focus there. */
  type: (text: string) => void;
  focus: () => void;
}

interface Props {
  /** Returns the WebSocket's address for a size. */
  url: (columns: number, rows: number) => string;
  label: string;
  fontSize: number;
  changed: (state: LinkState, exitStatus?: number) => void;
  titled: (title: string) => void;
  alive: () => Promise<boolean>;
  /** Called when somebody leaves the terminal by keyboard. */
  leave: () => void;
  /** Changes a key before it is sent, as a held Ctrl of the key bar does. */
  transform: (text: string) => string;
  keyboard: Ref<Keyboard>;
}

export function TerminalView(props: Props) {
  const { label, fontSize, keyboard, url } = props;
  const host = useRef<HTMLDivElement>(null);
  const shown = useRef<{ terminal: Terminal; fit: () => void; link: TerminalLink } | undefined>(undefined);
  const scheme = useComputedColorScheme("light");
  const latest = useRef(props);
  const look = useRef({ fontSize, scheme });
  useEffect(() => {
    latest.current = props;
  });

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const terminal = new Terminal({
      fontFamily: MONOSPACE,
      fontSize: look.current.fontSize,
      theme: look.current.scheme === "dark" ? DARK : LIGHT,
      minimumContrastRatio: 4.5,
      scrollback: 10_000,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      macOptionIsMeta: true,
      allowProposedApi: true, // Unicode 11's widths
    });
    const fitting = new FitAddon();
    terminal.loadAddon(fitting);
    terminal.loadAddon(new WebLinksAddon((_, uri) => window.open(uri, "_blank", "noopener,noreferrer")));
    terminal.loadAddon(new Unicode11Addon());
    terminal.unicode.activeVersion = "11";
    terminal.open(element);
    accelerate(terminal);

    const link = new TerminalLink({
      url: (columns, rows) => latest.current.url(columns, rows),
      alive: () => latest.current.alive(),
      changed: (state, status) => latest.current.changed(state, status),
      screen: {
        write: (data, drawn) => terminal.write(data, drawn),
        reset: () => terminal.reset(),
        resized: (columns, rows) => terminal.resize(columns, rows),
        titled: (title) => latest.current.titled(title),
      },
    });
    const fit = () => {
      const size = fitting.proposeDimensions();
      if (!size || !Number.isFinite(size.cols) || size.cols < 2 || size.rows < 1) return;
      // The answer says which size it is: other tabs count, too.
      if (!link.resize(size.cols, size.rows)) terminal.resize(size.cols, size.rows);
    };
    const subscriptions = [
      terminal.onData((data) => link.send(latest.current.transform(data))),
      terminal.onBinary((data) => link.sendBinary(data)),
    ];
    terminal.attachCustomKeyEventHandler((event) => {
      if (event.type !== "keydown") return true;
      if (event.key === "Escape" && event.ctrlKey && event.altKey) {
        latest.current.leave();
        return false;
      }
      // Ctrl+C belongs to the shell.
      if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "c") {
        event.preventDefault();
        if (terminal.hasSelection()) void navigator.clipboard.writeText(terminal.getSelection());
        return false;
      }
      // The browser pastes.
      return !(event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "v");
    });

    const size = fitting.proposeDimensions();
    if (size && Number.isFinite(size.cols)) terminal.resize(Math.max(2, size.cols), Math.max(1, size.rows));
    link.open(terminal.cols, terminal.rows);
    let frame = 0;
    const observer = new ResizeObserver(() => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(fit);
    });
    observer.observe(element);
    // Cells are measured anew when the font has come.
    void document.fonts.load(`14px ${MONOSPACE}`).then(() => {
      if (shown.current?.terminal !== terminal) return;
      terminal.options.fontFamily = `${MONOSPACE}, monospace`;
      fit();
    });
    if (matchMedia("(hover: hover)").matches) terminal.focus();
    shown.current = { terminal, fit, link };
    return () => {
      shown.current = undefined;
      cancelAnimationFrame(frame);
      observer.disconnect();
      link.close();
      for (const subscription of subscriptions) subscription.dispose();
      terminal.dispose();
    };
  }, [url]);

  useEffect(() => {
    look.current = { fontSize, scheme };
    const current = shown.current;
    if (!current) return;
    current.terminal.options.theme = scheme === "dark" ? DARK : LIGHT;
    if (current.terminal.options.fontSize !== fontSize) {
      current.terminal.options.fontSize = fontSize;
      current.fit();
    }
  }, [fontSize, scheme]);

  useImperativeHandle(keyboard, () => ({
    type: (text) => {
      const current = shown.current;
      if (!current) return;
      const { applicationCursorKeysMode } = current.terminal.modes;
      current.link.send(applicationCursorKeysMode ? asApplicationKey(text) : text);
      current.terminal.focus();
    },
    focus: () => shown.current?.terminal.focus(),
  }));

  return (
    <div
      className={classes.frame}
      data-scheme={scheme}
      role="group"
      aria-label={`${label}. Ctrl Alt Escape leaves it.`}
    >
      <div ref={host} className={classes.host} data-terminal />
    </div>
  );
}

/** Draws with WebGL where there is one; else xterm.js draws with elements. */
function accelerate(terminal: Terminal): void {
  try {
    const webgl = new WebglAddon();
    webgl.onContextLoss(() => webgl.dispose());
    terminal.loadAddon(webgl);
  } catch {
    // No WebGL here: nothing else changes.
  }
}
