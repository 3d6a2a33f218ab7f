import { Button } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { IconMapQuestion } from "@tabler/icons-react";
import { Link } from "react-router";

import { Empty } from "../parts/Empty";

export function NotFound() {
  useDocumentTitle("Not found · devgate");
  return (
    <Empty
      icon={<IconMapQuestion size={22} />}
      order={1}
      title="There is nothing at this address"
      action={
        <Button component={Link} to="/workspaces" variant="default">
          To the workspaces
        </Button>
      }
    >
      It may have been deleted or renamed, or you may not be allowed to see it.
    </Empty>
  );
}
