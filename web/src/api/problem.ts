/** A refusal of the server: what it expected, what it was given, where, and what to do. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly expected: string;
  readonly given: string;
  readonly where: string;
  readonly action: string;

  constructor(status: number, parts: Partial<Record<"code" | "expected" | "given" | "where" | "action", string>>) {
    super(parts.expected ? `Expected ${parts.expected}` : `The server answered ${status}`);
    this.name = "Problem";
    this.status = status;
    this.code = parts.code ?? "hepatica";
    this.expected = parts.expected ?? "";
    this.given = parts.given ?? "";
    this.where = parts.where ?? "";
    this.action = parts.action ?? "";
  }
}

/** Nobody answered: the server is down or the connection is. Trying again may help. */
export class Unreachable extends Error {
  constructor() {
    super("The server cannot be reached");
    this.name = "Unreachable";
  }
}

/** Make the problem of an answer that is not a success. */
export function toProblem(status: number, body: unknown): Problem {
  const parts = typeof body === "object" && body !== null ? (body as Record<string, string>) : {};
  return new Problem(status, parts);
}

/** Whether somebody else changed the item meanwhile. */
export function isConflict(error: unknown): error is Problem {
  return error instanceof Problem && (error.status === 409 || error.status === 412);
}

/** One sentence for a person, for any error at all. */
export function toSentence(error: unknown): string {
  if (error instanceof Problem) {
    if (!error.expected) return `${error.message}.`;
    const given = error.given ? `, not ${error.given}` : "";
    const action = error.action ? ` ${error.action[0]?.toUpperCase()}${error.action.slice(1)}.` : "";
    return `Expected ${error.expected}${given}.${action}`;
  }
  if (error instanceof Unreachable) return "The server cannot be reached. What you entered is kept on this page.";
  return "Something went wrong on this page. Reload it; what was saved is on the server.";
}
