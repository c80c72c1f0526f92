import { describe, expect, it } from "vitest";
import { Outbox, type Shelf } from "./outbox";
import { Problem, Unreachable } from "./problem";

interface Entry {
  entry_id: string;
}

function makeShelf(): Shelf & { held: Map<string, string> } {
  const held = new Map<string, string>();
  return {
    held,
    getItem: (key) => held.get(key) ?? null,
    setItem: (key, value) => void held.set(key, value),
    removeItem: (key) => void held.delete(key),
  };
}

describe("an outbox", () => {
  it("keeps what cannot be sent, through a reload, and sends it in order when the connection is back", async () => {
    const shelf = makeShelf();
    const sent: string[] = [];
    let connected = false;
    const send = async (entries: Entry[]) => {
      if (!connected) throw new Unreachable();
      sent.push(...entries.map((one) => one.entry_id));
    };
    const before = new Outbox<Entry>("k", shelf, send);
    await before.add({ entry_id: "a" });
    await before.add({ entry_id: "b" });
    expect(sent).toEqual([]);
    const after = new Outbox<Entry>("k", shelf, send);
    expect(after.list().map((one) => one.id)).toEqual(["a", "b"]);
    connected = true;
    await after.flush();
    expect(sent).toEqual(["a", "b"]);
    expect(shelf.held.size).toBe(0);
  });

  it("keeps an entry that the server refused, with the reason, and sends the others", async () => {
    const sent: string[] = [];
    const outbox = new Outbox<Entry>("k", makeShelf(), async (entries) => {
      if (entries[0]?.entry_id === "bad") throw new Problem(422, { expected: "a volume", given: "none" });
      sent.push(...entries.map((one) => one.entry_id));
    });
    await outbox.add({ entry_id: "bad" });
    await outbox.add({ entry_id: "good" });
    expect(sent).toEqual(["good"]);
    expect(outbox.list()).toEqual([{ id: "bad", entry: { entry_id: "bad" }, refusal: "Expected a volume, not none." }]);
    outbox.drop("bad");
    expect(outbox.list()).toEqual([]);
  });

  it("keeps entries while the server itself fails", async () => {
    const outbox = new Outbox<Entry>("k", makeShelf(), async () => {
      throw new Problem(503, {});
    });
    await outbox.add({ entry_id: "a" });
    expect(outbox.list()).toEqual([{ id: "a", entry: { entry_id: "a" }, refusal: "" }]);
  });

  it("sends what was added while it was sending", async () => {
    const sent: string[] = [];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const outbox = new Outbox<Entry>("k", makeShelf(), async (entries) => {
      await gate;
      sent.push(...entries.map((one) => one.entry_id));
    });
    const first = outbox.add({ entry_id: "a" });
    const second = outbox.add({ entry_id: "b" });
    release();
    await Promise.all([first, second]);
    expect(sent).toEqual(["a", "b"]);
  });
});
