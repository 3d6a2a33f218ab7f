import { Alert, Button, Container, Stack, Text } from "@mantine/core";
import { useRouteError } from "react-router";

import { explain } from "../api/client";

/** Shown in place of a page whose code failed; after an upgrade of the gateway a reload helps. */
export function Crash() {
  const error = useRouteError();
  return (
    <Container size="xs" py={96}>
      <Alert color="red" title="This page failed" role="alert">
        <Stack gap="sm" align="flex-start">
          <Text size="sm">{explain(error)}. If the gateway was upgraded, loading the page again helps.</Text>
          <Button variant="default" onClick={() => location.reload()}>
            Load again
          </Button>
        </Stack>
      </Alert>
    </Container>
  );
}
