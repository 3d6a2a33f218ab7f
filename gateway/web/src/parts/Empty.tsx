import { Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

import classes from "./Empty.module.css";

interface Props {
  icon: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

/** Stands where a list would be, and teaches the first step. */
export function Empty({ icon, title, children, action }: Props) {
  return (
    <div className={classes.empty}>
      <div className={classes.icon} aria-hidden>
        {icon}
      </div>
      <Title order={2}>{title}</Title>
      {children && (
        <Text size="md" c="dimmed" component="div" maw="34rem">
          {children}
        </Text>
      )}
      {action && <div className={classes.action}>{action}</div>}
    </div>
  );
}
