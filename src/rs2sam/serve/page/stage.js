/** The picture on a canvas: moves, zooms, and tells what is pointed at in pixels of the image. */

const ZOOM_STEP = 1.35;
const MOST_ZOOM = 40;
const DRAG_PX = 4;
const PAN_PX = 60;
/** From this many screen pixels a pixel, pixels are shown as squares. */
const SQUARES_FROM = 2;

export class Stage extends EventTarget {
  #pointers = new Map();
  #drag = null;
  #isQueued = false;

  constructor(canvas) {
    super();
    Object.assign(this, { canvas, bitmap: null, overlay: null, opacity: 0.55, lines: [], shapes: [], selected: null, isBox: false });
    this.view = { scale: 1, x: 0, y: 0 };
    new ResizeObserver(() => this.#resize()).observe(canvas.parentElement);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#cancel(event));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.draw());
    canvas.addEventListener("blur", () => this.draw());
  }

  /** Show a picture of an image of `width` x `height` pixels. */
  setImage(bitmap, { width, height }) {
    Object.assign(this, { bitmap, width, height, overlay: null, lines: [], shapes: [], selected: null });
    this.#resize();
    this.fit();
  }

  /** Draw again with the next frame. */
  draw() {
    if (this.#isQueued) return;
    this.#isQueued = true;
    requestAnimationFrame(() => {
      this.#isQueued = false;
      if (this.bitmap) this.#paint();
    });
  }

  /** Draw again within this frame. */
  drawNow() {
    if (this.bitmap) this.#paint();
  }

  fit() {
    if (!this.bitmap) return;
    const { clientWidth, clientHeight } = this.canvas;
    const scale = Math.min(clientWidth / this.width, clientHeight / this.height) * 0.96 || 1;
    this.view = { scale, x: (clientWidth - this.width * scale) / 2, y: (clientHeight - this.height * scale) / 2 };
    this.draw();
  }

  zoom(factor, at = { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }) {
    const { scale, x, y } = this.view, least = Math.min(0.02, scale);
    const now = Math.min(MOST_ZOOM, Math.max(least, scale * factor));
    this.view = { scale: now, x: at.x - ((at.x - x) * now) / scale, y: at.y - ((at.y - y) * now) / scale };
    this.draw();
  }

  zoomIn() { this.zoom(ZOOM_STEP); }
  zoomOut() { this.zoom(1 / ZOOM_STEP); }

  /** Bring a box of the image (x0, y0, x1, y1) into sight, closer where it is small. */
  show([x0, y0, x1, y1]) {
    const { clientWidth, clientHeight } = this.canvas;
    const closest = Math.min(clientWidth / (x1 - x0), clientHeight / (y1 - y0)) * 0.5;
    const scale = Math.min(8, Math.max(this.view.scale, Math.min(closest, 4)), closest * 1.8);
    this.view = { scale, x: clientWidth / 2 - ((x0 + x1) / 2) * scale, y: clientHeight / 2 - ((y0 + y1) / 2) * scale };
    this.draw();
  }

  /** Place on the screen (in the stage) of a place in the image. */
  toScreen({ x, y }) {
    return { x: x * this.view.scale + this.view.x, y: y * this.view.scale + this.view.y };
  }

  #toImage({ x, y }) {
    return { x: (x - this.view.x) / this.view.scale, y: (y - this.view.y) / this.view.scale };
  }

  #resize() {
    const { canvas } = this, ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = canvas.parentElement;
    if (!clientWidth) return;
    const before = { width: canvas.width / this.ratio, height: canvas.height / this.ratio };
    this.ratio = ratio;
    canvas.width = Math.round(clientWidth * ratio);
    canvas.height = Math.round(clientHeight * ratio);
    if (before.width) {
      this.view.x += (clientWidth - before.width) / 2;
      this.view.y += (clientHeight - before.height) / 2;
    }
    if (this.bitmap) this.#paint();  // at once: a canvas that was resized is empty
  }

  #paint() {
    const context = this.canvas.getContext("2d"), { scale, x, y } = this.view, { ratio } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(scale * ratio, 0, 0, scale * ratio, x * ratio, y * ratio);
    context.imageSmoothingEnabled = scale * (this.width / this.bitmap.width) < SQUARES_FROM;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.bitmap, 0, 0, this.width, this.height);
    context.globalAlpha = this.opacity;
    if (this.overlay) {
      context.imageSmoothingEnabled = scale < 1;
      context.drawImage(this.overlay, 0, 0, this.width, this.height);
    }
    for (const { path, colour } of this.shapes) {
      context.fillStyle = colour;
      context.fill(path, "evenodd");
    }
    context.globalAlpha = 1;
    for (const { path, colour } of this.lines) this.#stroke(context, path, colour, 1.25);
    if (this.selected) {
      this.#stroke(context, this.selected, "#000000", 5);
      this.#stroke(context, this.selected, "#ffffff", 2.5);
    }
    this.#paintTools(context);
  }

  #stroke(context, path, colour, width) {
    context.strokeStyle = colour;
    context.lineWidth = width / this.view.scale;
    context.lineCap = "square";
    context.stroke(path);
  }

  #paintTools(context) {
    const { ratio, canvas } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.#drag?.box) {
      const { from, to } = this.#drag;
      for (const [colour, dash] of [["#000000", []], ["#ffffff", [5, 5]]]) {
        context.strokeStyle = colour;
        context.lineWidth = 1.5;
        context.setLineDash(dash);
        context.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
      }
      context.setLineDash([]);
    }
    if (canvas.matches(":focus-visible") && !this.#drag) {
      const x = canvas.clientWidth / 2, y = canvas.clientHeight / 2;
      for (const [colour, width] of [["#000000", 4], ["#ffffff", 1.5]]) {
        context.strokeStyle = colour;
        context.lineWidth = width;
        context.beginPath();
        context.moveTo(x - 10, y); context.lineTo(x + 10, y);
        context.moveTo(x, y - 10); context.lineTo(x, y + 10);
        context.stroke();
      }
    }
  }

  // --- Pointer and keys -----------------------------------------------------------------------------------------------

  #place(event) {
    const frame = this.canvas.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  }

  #down(event) {
    if (event.button !== 0 || !this.bitmap) return;
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.#place(event);
    this.#pointers.set(event.pointerId, at);
    if (this.#pointers.size === 1) this.#drag = { from: at, to: at, box: this.isBox || event.shiftKey, hasMoved: false };
    else this.#drag = { from: at, to: at, box: false, hasMoved: true };
  }

  #move(event) {
    const at = this.#place(event), before = this.#pointers.get(event.pointerId);
    if (!before) {
      this.#tell("hover", this.#toImage(at));
      return;
    }
    if (this.#pointers.size === 2) this.#pinch(event.pointerId, before, at);
    this.#pointers.set(event.pointerId, at);
    const drag = this.#drag;
    drag.to = at;
    drag.hasMoved ||= Math.hypot(at.x - drag.from.x, at.y - drag.from.y) > DRAG_PX;
    if (drag.hasMoved && !drag.box && this.#pointers.size === 1) {
      this.view.x += at.x - before.x;
      this.view.y += at.y - before.y;
      this.#tell("moved");
    }
    this.draw();
  }

  #pinch(id, before, at) {
    const [other] = [...this.#pointers].filter(([key]) => key !== id).map(([, place]) => place);
    const distance = (place) => Math.hypot(place.x - other.x, place.y - other.y) || 1;
    this.zoom(distance(at) / distance(before), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
    this.#tell("moved");
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId) || this.#pointers.size) return;
    const drag = this.#drag;
    this.#drag = null;
    this.draw();
    if (!drag.hasMoved) this.#click(drag.from);
    else if (drag.box) {
      const a = this.#toImage(drag.from), b = this.#toImage(drag.to);
      this.#tell("box", { box: [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)] });
    }
  }

  #cancel(event) {
    this.#pointers.delete(event.pointerId);
    this.#drag = null;
    this.draw();
  }

  #click(at) {
    const { x, y } = this.#toImage(at);
    if (x >= 0 && y >= 0 && x < this.width && y < this.height) this.#tell("pick", { x, y });
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    this.zoom(Math.exp(-event.deltaY * lines * 0.0016), this.#place(event));
    this.#tell("moved");
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.bitmap) return;
    const steps = { ArrowLeft: [PAN_PX, 0], ArrowRight: [-PAN_PX, 0], ArrowUp: [0, PAN_PX], ArrowDown: [0, -PAN_PX] };
    const actions = {
      "+": () => this.zoomIn(), "=": () => this.zoomIn(), "-": () => this.zoomOut(), 0: () => this.fit(),
      Enter: () => this.#click({ x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }),
      b: () => this.#tell("box-key"),
    };
    const act = steps[event.key] ? () => { this.view.x += steps[event.key][0]; this.view.y += steps[event.key][1]; } : actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
    if (event.key !== "Enter") this.#tell("moved");
    this.draw();
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
