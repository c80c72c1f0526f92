import { afterEach, describe, expect, it, vi } from "vitest";
import { sendPatiently } from "./client";
import { DATES_HEADER, noteMode } from "./dates";
import { sendChange } from "./items";

/** Send through the client; return the word that the server was told. */
async function tell(send: () => Promise<unknown>): Promise<string | null> {
  const fetched = vi.fn(async (_request: Request) => new Response("{}", { status: 200 }));
  vi.stubGlobal("fetch", fetched);
  await send();
  return fetched.mock.calls[0]![0].headers.get(DATES_HEADER);
}

const HERE = "http://localhost/api/visit";

afterEach(() => {
  noteMode("clinical");
  vi.unstubAllGlobals();
});

describe("changes of a research record", () => {
  it("say that dates are true where nothing else is said", async () => {
    noteMode("research");
    expect(await tell(() => sendChange({ method: "POST", path: HERE }))).toBe("true");
    expect(await tell(() => sendPatiently(new Request(HERE, { method: "POST", body: "{}" })))).toBe("true");
  });

  it("say that dates are as the record shows them where what was read is sent back", async () => {
    noteMode("research");
    expect(await tell(() => sendChange({ method: "PATCH", path: HERE, dates: "record" }))).toBe("record");
  });

  it("say nothing where only something is read, or the record keeps true dates", async () => {
    noteMode("research");
    expect(await tell(() => sendPatiently(new Request(HERE)))).toBeNull();
    noteMode("clinical");
    expect(await tell(() => sendChange({ method: "POST", path: HERE }))).toBeNull();
  });

  it("are sent again with the same word after a login", async () => {
    noteMode("research");
    const { door } = await import("./session");
    const answers = [new Response("{}", { status: 401 }), new Response("{}", { status: 200 })];
    const fetched = vi.fn(async (_request: Request) => answers.shift()!);
    vi.stubGlobal("fetch", fetched);
    const stop = door.subscribe(() => {
      if (door.isClosed()) queueMicrotask(() => door.open());
    });
    await sendChange({ method: "POST", path: HERE, dates: "record" });
    stop();
    expect(fetched.mock.calls.map(([request]) => request.headers.get(DATES_HEADER))).toEqual(["record", "record"]);
  });
});
