/** The first steps from one's own computer, until it has a key here. */
import { Anchor, CloseButton, Text, Title } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "react-router";

import { keys } from "../api/queries";
import type { Workspace } from "../api/types";
import { CopyLine } from "../parts/Copy";
import classes from "./FirstSteps.module.css";

export function FirstSteps({ mine }: { mine: Workspace[] }) {
  const known = useQuery(keys);
  const [hidden, setHidden] = useLocalStorage({ key: "devgate-first-steps-hidden", defaultValue: false });
  const first = mine[0];
  if (hidden || known.data?.length !== 0 || !first) return null;
  return (
    <section className={classes.steps} aria-labelledby="first-steps">
      <header>
        <Title order={2} id="first-steps">
          Work from your own tools
        </Title>
        <CloseButton aria-label="Hide these steps" onClick={() => setHidden(true)} />
      </header>
      <ol>
        <Step title="Add your SSH key">
          <Anchor component={Link} to="/account/keys" inherit underline="always">
            Add the public key
          </Anchor>{" "}
          of your computer. VS Code Desktop, JetBrains Gateway, Zed and plain ssh use it.
        </Step>
        <Step title="Connect">
          <CopyLine text={first.ssh} label="Copy the ssh line" />
        </Step>
      </ol>
    </section>
  );
}

function Step({ title, children }: { title: string; children: ReactNode }) {
  return (
    <li className={classes.step}>
      <Text size="md" fw={550}>
        {title}
      </Text>
      <Text size="sm" c="dimmed" component="div">
        {children}
      </Text>
    </li>
  );
}
