import { Title } from "@mantine/core";
import { type ReactNode, useId } from "react";

import classes from "./Panel.module.css";

interface Props {
  title: string;
  aside?: ReactNode;
  flush?: boolean;
  children: ReactNode;
}

/** A titled part of a page. `flush` lets its content reach the edges. */
export function Panel({ title, aside, flush = false, children }: Props) {
  const id = useId();
  return (
    <section className={classes.panel} aria-labelledby={id}>
      <header className={classes.header}>
        <Title order={2} id={id}>
          {title}
        </Title>
        {aside}
      </header>
      <div className={classes.body} data-flush={flush}>
        {children}
      </div>
    </section>
  );
}
