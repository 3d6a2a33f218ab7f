import { ActionIcon, Tooltip } from "@mantine/core";
import { useClipboard } from "@mantine/hooks";
import { IconCheck, IconCopy } from "@tabler/icons-react";

import classes from "./Copy.module.css";

/** A button that copies a text. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const clipboard = useClipboard({ timeout: 1500 });
  const said = clipboard.error
    ? "The browser refused: select the text instead"
    : clipboard.copied
      ? "Copied"
      : label;
  return (
    <Tooltip label={said} openDelay={200}>
      <ActionIcon
        aria-label={said}
        size="md"
        onClick={(event) => {
          event.preventDefault();
          clipboard.copy(text);
        }}
      >
        {clipboard.copied ? <IconCheck size={16} className={classes.done} /> : <IconCopy size={16} />}
      </ActionIcon>
    </Tooltip>
  );
}

/** A line to copy: a command, a key, a link. */
export function CopyLine({ text, label, wrap = false }: { text: string; label: string; wrap?: boolean }) {
  return (
    <div className={classes.line}>
      {/* It scrolls where it is too long, so it can be reached by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <code className={classes.text} data-wrap={wrap} tabIndex={0}>
        {text}
      </code>
      <CopyButton text={text} label={label} />
    </div>
  );
}
