/** The first steps, for as long as one of them is left. */
import { Anchor, CloseButton, Text, Title } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { IconCircle, IconCircleCheckFilled } from "@tabler/icons-react";
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
  const hasKey = (known.data?.length ?? 0) > 0;
  // Whoever has used a key knows the way.
  const connected = known.data?.some((key) => key.last_used) ?? false;
  if (hidden || !known.data || !first || (hasKey && connected)) return null;
  return (
    <section className={classes.steps} aria-labelledby="first-steps">
      <header>
        <Title order={2} id="first-steps">
          Work from your own tools
        </Title>
        <CloseButton aria-label="Hide these steps" onClick={() => setHidden(true)} />
      </header>
      <ol>
        <Step done={hasKey} title="Add your SSH key">
          {hasKey ? (
            "Your key is known here."
          ) : (
            <>
              <Anchor component={Link} to="/account/keys" inherit underline="always">
                Add the public key
              </Anchor>{" "}
              of your computer. VS Code Desktop, JetBrains Gateway, Zed and plain ssh use it.
            </>
          )}
        </Step>
        <Step done={false} title="Connect">
          <CopyLine text={first.ssh} label="Copy the ssh line" />
        </Step>
      </ol>
    </section>
  );
}

function Step({ done, title, children }: { done: boolean; title: string; children: ReactNode }) {
  return (
    <li className={classes.step}>
      {done ? (
        <IconCircleCheckFilled size={20} className={classes.done} aria-label="Done" />
      ) : (
        <IconCircle size={20} className={classes.open} aria-label="To do" />
      )}
      <div className={classes.text}>
        <Text size="md" fw={550}>
          {title}
        </Text>
        <Text size="sm" c="dimmed" component="div">
          {children}
        </Text>
      </div>
    </li>
  );
}
