/** Keys that a phone's keyboard doesn't have. */
import { IconArrowDown, IconArrowLeft, IconArrowRight, IconArrowUp } from "@tabler/icons-react";
import type { PointerEvent, ReactNode } from "react";

import classes from "./KeyBar.module.css";

interface Props {
  press: (text: string) => void;
  control: boolean;
  setControl: (held: boolean) => void;
}

const ARROW = 16;

const KEYS: [label: string, shown: ReactNode, sent: string][] = [
  ["Esc", "Esc", "\u001b"],
  ["Tab", "Tab", "\t"],
  ["Left", <IconArrowLeft key="left" size={ARROW} />, "\u001b[D"],
  ["Up", <IconArrowUp key="up" size={ARROW} />, "\u001b[A"],
  ["Down", <IconArrowDown key="down" size={ARROW} />, "\u001b[B"],
  ["Right", <IconArrowRight key="right" size={ARROW} />, "\u001b[C"],
  ["|", "|", "|"],
  ["/", "/", "/"],
  ["-", "-", "-"],
  ["~", "~", "~"],
];

/** The terminal keeps the focus, so the phone's keyboard stays open. */
function keepFocus(event: PointerEvent): void {
  event.preventDefault();
}

export function KeyBar({ press, control, setControl }: Props) {
  return (
    <div className={classes.bar} role="toolbar" aria-label="Keys">
      <button
        type="button"
        aria-pressed={control}
        onPointerDown={keepFocus}
        onClick={() => setControl(!control)}
      >
        Ctrl
      </button>
      {KEYS.map(([label, shown, sent]) => (
        <button
          key={label}
          type="button"
          aria-label={label}
          onPointerDown={keepFocus}
          onClick={() => press(sent)}
        >
          {shown}
        </button>
      ))}
    </div>
  );
}
