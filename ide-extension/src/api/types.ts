/** The API's types, made from the gateway's OpenAPI document: the dashboard's own. */
export type {
  Connection,
  DeviceCodes,
  DeviceToken,
  Port,
  Sample,
  Statistics,
  Template,
  Terminal,
  Visibility,
  Workspace,
  WorkspaceState,
} from "../../../gateway/web/src/api/types";
