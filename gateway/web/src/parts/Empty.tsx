import { Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

import classes from "./Empty.module.css";

interface Props {
  icon: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  /** 1 where nothing else heads the page. */
  order?: 1 | 2;
}

/** Stands where a list would be, and teaches the first step. */
export function Empty({ icon, title, children, action, order = 2 }: Props) {
  return (
    <div className={classes.empty}>
      <div className={classes.icon} aria-hidden>
        {icon}
      </div>
      <Title order={order} size="h2">
        {title}
      </Title>
      {children && (
        <Text size="md" c="dimmed" component="div" maw="34rem">
          {children}
        </Text>
      )}
      {action && <div className={classes.action}>{action}</div>}
    </div>
  );
}
