import { Center, Loader, VisuallyHidden } from "@mantine/core";

import classes from "./Loading.module.css";

/** Shown while a page or its data comes. */
export function Loading() {
  return (
    <Center py={64} role="status" className={classes.loading}>
      <Loader size="sm" color="gray" />
      <VisuallyHidden>Loading</VisuallyHidden>
    </Center>
  );
}
