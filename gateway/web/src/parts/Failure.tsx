import { Alert, Button, Group, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";

import { explain } from "../api/client";

interface Props {
  title: string;
  error: unknown;
  retry?: () => void;
}

/** Says what failed and offers to try again. */
export function Failure({ title, error, retry }: Props) {
  return (
    <Alert color="red" icon={<IconAlertTriangle size={18} />} title={title} role="alert">
      <Group justify="space-between" gap="sm">
        <Text size="sm">{explain(error)}</Text>
        {retry && (
          <Button variant="default" size="xs" onClick={retry}>
            Try again
          </Button>
        )}
      </Group>
    </Alert>
  );
}
