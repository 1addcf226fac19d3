// Reads the archive that `deno publish` uploads: plain files only, in the GNU
// flavour of ustar, where a name of more than 100 bytes stands in an entry of
// its own before the file ("././@LongLink"). The pax form of the same thing is
// read too, so that a change of the publisher's tar library does not matter.

const BLOCK = 512;

/** Byte offset and length of the header fields that are read. */
const FIELD = {
  name: [0, 100],
  size: [124, 12],
  type: [156, 1],
  prefix: [345, 155],
} as const;

const decoder = new TextDecoder();

function readField(header: Uint8Array, field: keyof typeof FIELD): string {
  const [offset, length] = FIELD[field];
  const bytes = header.subarray(offset, offset + length);
  const end = bytes.indexOf(0);
  return decoder.decode(end === -1 ? bytes : bytes.subarray(0, end));
}

/** The `path` record of a pax header: lines of `<length> <key>=<value>\n`. */
function readPaxPath(body: Uint8Array): string | undefined {
  let path: string | undefined;
  for (let offset = 0; offset < body.length;) {
    const space = body.indexOf(0x20, offset);
    const length = Number(decoder.decode(body.subarray(offset, space)));
    if (space === -1 || !Number.isInteger(length) || length <= 0) {
      throw new Error("Cannot read archive: a pax record has no length");
    }
    // The length counts itself, the space and the closing line feed.
    const record = decoder.decode(
      body.subarray(space + 1, offset + length - 1),
    );
    if (record.startsWith("path=")) path = record.slice("path=".length);
    offset += length;
  }
  return path;
}

/** Reads a tar archive into its files, keyed by path without a leading `./`. */
export function readTar(
  archive: Uint8Array,
): Map<string, Uint8Array<ArrayBuffer>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  let longName: string | undefined;
  for (let offset = 0; offset + BLOCK <= archive.length;) {
    const header = archive.subarray(offset, offset + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const size = parseInt(readField(header, "size").trim(), 8);
    const start = offset + BLOCK;
    if (!Number.isInteger(size) || start + size > archive.length) {
      throw new Error(
        `Cannot read archive: the entry at byte ${offset} is cut off or has no size`,
      );
    }
    const body = archive.subarray(start, start + size);
    offset = start + Math.ceil(size / BLOCK) * BLOCK;

    const type = readField(header, "type");
    switch (type) {
      case "L":
        longName = decoder.decode(body).replace(/\0+$/, "");
        break;
      case "x":
        longName = readPaxPath(body) ?? longName;
        break;
      case "":
      case "0": {
        // Only the POSIX magic has a prefix: GNU keeps other things there.
        const prefix = decoder.decode(header.subarray(257, 263)) === "ustar\0"
          ? readField(header, "prefix")
          : "";
        const short = readField(header, "name");
        const path = longName ?? (prefix === "" ? short : `${prefix}/${short}`);
        longName = undefined;
        files.set(path.replace(/^\.\//, ""), new Uint8Array(body));
        break;
      }
      case "5":
      case "g":
        break;
      default:
        throw new Error(
          `Cannot read archive: entries of type "${type}" are not known`,
        );
    }
  }
  return files;
}
