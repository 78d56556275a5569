// A picture or clip as the question: chosen, dropped or pasted, shown small, and kept for the way back.

import { announce, byId } from "./dom.js";

const kept = new Map(); // name as in the address -> File, as long as the page lives

export const fileOf = (state) => (state.given ? (kept.get(state.given) ?? null) : null);

/** Connect the ways a file comes in; `changed(name)` hears what is given now, "" for nothing. */
export function connectGiven(changed) {
  const take = (file) => {
    if (!file) return;
    if (!/^(image|video)\//.test(file.type)) {
      announce(`${file.name} is neither a picture nor a clip.`);
      byId("given-name").textContent = `${file.name} is neither a picture nor a clip`;
      byId("given").hidden = false;
      byId("given-picture").hidden = true;
      return;
    }
    const name = nameFor(file);
    kept.set(name, file);
    announce(`${file.name} will be searched with.`);
    changed(name);
  };
  byId("file").addEventListener("change", (event) => {
    take(event.target.files[0]);
    event.target.value = ""; // so that the same file can be chosen again
  });
  byId("given-remove").addEventListener("click", () => {
    changed("");
    byId("text").focus();
    announce("Removed.");
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    take(file);
  });
  const box = byId("drop");
  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault(); // also beside the box: a browser would leave the page for the file
    box.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || box.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    box.classList.remove("over");
    if (!holdsFile(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
}

/** A name that stands for this file alone: pasted pictures are all called image.png. */
function nameFor(file) {
  const name = file.name || "picture";
  for (let number = 1; ; number++) {
    const tried = number === 1 ? name : `${name} (${number})`;
    if (!kept.has(tried) || kept.get(tried) === file) return tried;
  }
}

/** Show what is given. A canvas, since the page may load pictures from its own server only. */
export async function showGiven(name) {
  const file = kept.get(name);
  byId("given").hidden = !name;
  byId("given-name").textContent = name && !file ? `${name} is not part of the link: choose it again` : name;
  byId("given-picture").hidden = true;
  if (!file?.type.startsWith("image/")) return;
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture || byId("given-name").textContent !== name) return;
  const canvas = byId("given-picture");
  const scale = Math.max(canvas.width / picture.width, canvas.height / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  canvas.getContext("2d").drawImage(picture, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  canvas.hidden = false;
}
