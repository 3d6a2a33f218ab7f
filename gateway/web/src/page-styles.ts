/**
 * Makes libraries' own styles fit the content security policy, which allows no
 * inline style without the page's nonce.
 *
 * xterm.js and react-remove-scroll make `<style>` elements and have no way to be
 * given a nonce; xterm.js sets `style` attributes too. Both come from scripts that
 * the policy let in. What markup brings along stays forbidden: the parser and
 * `innerHTML` pass neither of these functions.
 */

/** Returns the nonce of this page, which the gateway makes for each answer. */
export function pageNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
}

export function allowStylesOfScripts(): void {
  const nonce = pageNonce();
  const page = document as { createElement: (name: string, options?: ElementCreationOptions) => HTMLElement };
  const createElement = page.createElement.bind(document);
  page.createElement = (name, options) => {
    const element = createElement(name, options);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    return element;
  };

  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its element below
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (this: Element, name: string, value: string) {
    if (name === "style" && (this instanceof HTMLElement || this instanceof SVGElement)) {
      this.style.cssText = value;
    } else {
      setAttribute.call(this, name, value);
    }
  };
}
