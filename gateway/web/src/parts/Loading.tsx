import { Center, Loader, VisuallyHidden } from "@mantine/core";

/** Shown while a page or its data comes. */
export function Loading() {
  return (
    <Center py={64} role="status">
      <Loader size="sm" color="gray" />
      <VisuallyHidden>Loading</VisuallyHidden>
    </Center>
  );
}
