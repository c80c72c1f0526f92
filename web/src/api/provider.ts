/** Login at the hospital's identity provider: the browser goes there and comes back. */
import { client, unwrap } from "./client";

/** Good for one signature within this time, as the server says. */
const PROOF_LIFE_MS = 5 * 60_000;
const KEPT = "hepatica.proof";

interface Asked {
  /** Address to come back to, after the ``#``. */
  here: string;
  at: number;
  done: boolean;
}

export async function readWays() {
  return unwrap(client.GET("/api/oidc"));
}

/** Begin a login, or the acceptance of an invitation; returns where the browser goes. */
export async function startLogin(link = ""): Promise<string> {
  return (await unwrap(client.POST("/api/oidc/start", { body: { link } }))).url;
}

/** Leave for a fresh login before a signature; the page that asked is opened again afterwards. */
export async function leaveForProof(): Promise<void> {
  const { url } = await unwrap(client.POST("/api/oidc/proof"));
  const asked: Asked = { here: window.location.hash.replace(/^#/, ""), at: Date.now(), done: false };
  window.sessionStorage.setItem(KEPT, JSON.stringify(asked));
  window.location.assign(url);
}

/** Note that the fresh login was accepted; returns the address that asked for it. */
export function noteProof(now = Date.now()): string {
  const asked = readAsked();
  if (!asked) return "/";
  window.sessionStorage.setItem(KEPT, JSON.stringify({ ...asked, at: now, done: true } satisfies Asked));
  return asked.here;
}

/** Whether this page holds a fresh login that is not used up. */
export function holdsProof(now = Date.now()): boolean {
  const asked = readAsked();
  return asked !== null && asked.done && now - asked.at < PROOF_LIFE_MS;
}

/** A fresh login is good once. */
export function spendProof(): void {
  window.sessionStorage.removeItem(KEPT);
}

function readAsked(): Asked | null {
  const kept = window.sessionStorage.getItem(KEPT);
  return kept === null ? null : (JSON.parse(kept) as Asked);
}
