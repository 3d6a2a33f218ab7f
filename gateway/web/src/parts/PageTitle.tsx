import { Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";

import classes from "./PageTitle.module.css";

interface Props {
  title: string;
  description?: ReactNode;
  children?: ReactNode;
}

/** A page's heading, with what one can do on it at the right. */
export function PageTitle({ title, description, children }: Props) {
  useDocumentTitle(`${title} · devgate`);
  return (
    <div className={classes.row}>
      <div className={classes.text}>
        <Title order={1}>{title}</Title>
        {description && (
          <Text size="md" c="dimmed" mt={2}>
            {description}
          </Text>
        )}
      </div>
      {children && <div className={classes.actions}>{children}</div>}
    </div>
  );
}
