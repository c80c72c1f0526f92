/** The only way from the pages to the server. */
import createClient from "openapi-fetch";
import { sayCalendar } from "./dates";
import { Unreachable, toProblem } from "./problem";
import type { paths } from "./schema";
import { door } from "./session";

/** The server takes changes only with this header: a page of another origin cannot send it unasked. */
export const CSRF_HEADER = { "x-hepatica": "1" };

/** Requests that ask for a login themselves. */
const DOOR_PATHS = ["/api/login", "/api/logout", "/api/password", "/api/me"];

/** Send a request; after the end of a session it waits for a new login and is sent again. */
export async function sendPatiently(request: Request): Promise<Response> {
  const isDoor = DOOR_PATHS.includes(new URL(request.url).pathname);
  const isSignature = request.method === "POST" && new URL(request.url).pathname.startsWith("/api/signatures/");
  sayCalendar(request);
  for (;;) {
    const spare = request.clone();
    let answer: Response;
    try {
      answer = await fetch(request);
    } catch (error) {
      if (request.signal.aborted) throw error;
      throw new Unreachable();
    }
    if (answer.status !== 401 || isDoor) return answer;
    // A signature is refused so when its password is wrong: the session goes on.
    if (isSignature && (await isLoggedIn())) return answer;
    await door.waitForLogin();
    request = spare;
  }
}

async function isLoggedIn(): Promise<boolean> {
  return fetch("/api/me", { headers: CSRF_HEADER }).then(
    (answer) => answer.ok,
    () => false,
  );
}

export const client = createClient<paths>({ headers: CSRF_HEADER, fetch: sendPatiently });

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Return the data of an answer, or throw its problem. */
export async function unwrap<T>(asked: Promise<Answered<T>>): Promise<T> {
  const { data, error, response } = await asked;
  if (!response.ok) throw toProblem(response.status, error);
  return data as T;
}

/** Return data and ETag of an answer, or throw its problem. */
export async function unwrapWithEtag<T>(asked: Promise<Answered<T>>): Promise<{ data: T; etag: string }> {
  const { data, error, response } = await asked;
  if (!response.ok) throw toProblem(response.status, error);
  return { data: data as T, etag: response.headers.get("etag") ?? "" };
}

/** Ask for bytes, such as an image volume or a file of an item. */
export async function readBytes(path: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  const answer = await sendPatiently(new Request(path, { headers: CSRF_HEADER, ...(signal ? { signal } : {}) }));
  if (!answer.ok) throw toProblem(answer.status, await answer.json().catch(() => null));
  return answer.arrayBuffer();
}

/** Ask for a JSON document that the interface does not describe, such as a plan's ``plan.json``. */
export async function readDocument<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await sendPatiently(new Request(path, { headers: CSRF_HEADER, ...(signal ? { signal } : {}) }));
  const body: unknown = await answer.json().catch(() => null);
  if (!answer.ok) throw toProblem(answer.status, body);
  return body as T;
}

/** A key for a change that may be sent twice and must be done once. */
export function makeKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
