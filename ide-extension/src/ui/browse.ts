/** Opening pages in the person's browser. */
import * as vscode from "vscode";

import { unproxied } from "../browse";

/** Opens a page. */
export async function browse(url: string): Promise<void> {
  const page = vscode.env.uiKind === vscode.UIKind.Web ? unproxied(url) : url;
  // As a text, which the editor takes as well: what is parsed and written again is escaped anew.
  await vscode.env.openExternal(page as unknown as vscode.Uri);
}
