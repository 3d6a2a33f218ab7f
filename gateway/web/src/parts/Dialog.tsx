import { Modal, type ModalProps } from "@mantine/core";
import { useLayoutEffect, useRef } from "react";

// Kept as it happens: a menu's item has gone by the time that its dialog opens.
let lastFocused: HTMLElement | null = null;
document.addEventListener("focusin", ({ target }) => {
  if (target instanceof HTMLElement) lastFocused = lasting(target);
});

/** Returns what is still there when a menu has closed: for a menu's item its button. */
function lasting(focused: HTMLElement): HTMLElement | null {
  const button = focused.closest('[role="menu"]')?.getAttribute("aria-labelledby");
  return button ? document.getElementById(button) : focused;
}

/** A dialog that gives the focus back to what opened it. */
export function Dialog({ opened, ...rest }: ModalProps) {
  const opener = useRef<HTMLElement | null>(null);
  useLayoutEffect(() => {
    if (opened) opener.current = lastFocused;
  }, [opened]);
  return (
    <Modal
      opened={opened}
      returnFocus={false}
      onExitTransitionEnd={() => opener.current?.focus({ preventScroll: true })}
      {...rest}
    />
  );
}
