var W=`.viewer {
  --gap: 8px;
  font: 13px / 1.45 var(--st-font, system-ui, sans-serif);
  color: var(--st-text-color, #1f2a30);
  outline: none;
  position: relative;
}
.body {
  display: grid;
  grid-template-columns: minmax(0, 1fr) clamp(250px, 36%, 560px);
  gap: var(--gap);
  height: var(--viewer-height, clamp(420px, calc(100vh - 270px), 1200px));
}
.beside {
  display: grid;
  grid-template-rows: minmax(0, 3fr) minmax(0, 3fr) minmax(120px, 4fr);
  gap: var(--gap);
  min-height: 0;
}
.pane {
  position: relative;
  min-width: 0;
  min-height: 0;
  background: #0b0e10;
  border-radius: 6px;
  overflow: hidden;
}
.viewer:focus-visible .large {
  box-shadow: 0 0 0 2px var(--st-primary-color, #0b7a75);
}
.pane canvas {
  position: absolute;
  inset: 0;
  width: 100%;
  height: 100%;
  display: block;
  cursor: crosshair;
  touch-action: none;
}
.caption {
  position: absolute;
  left: 8px;
  top: 6px;
  color: #fff;
  text-shadow:
    0 0 3px #000,
    0 0 3px #000;
  font-variant-numeric: tabular-nums;
  pointer-events: none;
  white-space: pre;
}
.pane.waiting::after {
  content: "";
  position: absolute;
  inset: auto 0 0 0;
  height: 3px;
  background:
    linear-gradient(90deg, transparent, var(--st-primary-color, #3fb8af), transparent) 0 0 / 40%
    100% no-repeat;
  animation: waits 1s linear infinite;
}
@keyframes waits {
  from {
    background-position: -60% 0;
  }
  to {
    background-position: 160% 0;
  }
}
.toolbar {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 10px;
  margin-bottom: var(--gap);
  min-height: 30px;
}
.group {
  display: inline-flex;
}
.group button {
  border-radius: 0;
  margin-left: -1px;
}
.group button:first-child {
  border-radius: 6px 0 0 6px;
  margin-left: 0;
}
.group button:last-child {
  border-radius: 0 6px 6px 0;
}
button {
  font: inherit;
  color: inherit;
  background: var(--st-secondary-background-color, #eef2f1);
  border: 1px solid var(--st-border-color, #c9d2d0);
  border-radius: 6px;
  padding: 3px 10px;
  cursor: pointer;
}
button:hover {
  border-color: var(--st-primary-color, #0b7a75);
}
button:focus-visible {
  outline: 2px solid var(--st-primary-color, #0b7a75);
  outline-offset: 1px;
}
button[aria-pressed="true"] {
  background: var(--st-primary-color, #0b7a75);
  color: #fff;
  border-color: transparent;
}
.layers {
  display: inline-flex;
  flex-wrap: wrap;
  gap: 4px 10px;
}
.layer {
  display: inline-flex;
  align-items: center;
  gap: 5px;
}
.layer .name {
  max-width: 14em;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.chip {
  width: 11px;
  height: 11px;
  border-radius: 3px;
}
.slider {
  display: inline-flex;
  align-items: center;
  gap: 6px;
}
.slider input {
  width: 80px;
  accent-color: var(--st-primary-color, #0b7a75);
}
input[type="checkbox"] {
  accent-color: var(--st-primary-color, #0b7a75);
}
.word {
  opacity: 0.75;
}
.info {
  overflow: auto;
  border: 1px solid var(--st-border-color, #c9d2d0);
  border-radius: 6px;
  padding: 8px 10px;
}
.info.saving {
  opacity: 0.5;
  pointer-events: none;
}
.side h4 {
  margin: 6px 0 2px;
  font-size: 13px;
}
.side h4:first-child {
  margin-top: 0;
}
.side p {
  margin: 2px 0 6px;
}
.side .against {
  border-left: 3px solid #d55e00;
  padding-left: 7px;
}
.side .done {
  border-left: 3px solid #009e73;
  padding-left: 7px;
}
.reasons {
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
  margin-bottom: 6px;
}
.quiet {
  background: none;
  border-color: transparent;
  text-decoration: underline;
  padding-left: 0;
}
.side .note {
  opacity: 0.8;
}
.rules {
  margin: 2px 0 0;
  padding-left: 16px;
}
.status {
  min-height: 20px;
  margin-top: 4px;
  font-variant-numeric: tabular-nums;
  white-space: pre;
  opacity: 0.85;
}
.status.bad {
  color: #d55e00;
  opacity: 1;
  white-space: normal;
}
.help {
  position: absolute;
  top: 40px;
  left: 50%;
  transform: translateX(-50%);
  margin: 0;
  border: 1px solid var(--st-border-color, #c9d2d0);
  border-radius: 8px;
  padding: 12px 18px;
  background: var(--st-background-color, #fff);
  color: inherit;
  z-index: 5;
  box-shadow: 0 8px 30px rgb(0 0 0 / 0.3);
}
.help h4 {
  margin: 0 0 6px;
}
.help .keys {
  font-weight: 600;
  padding-right: 18px;
  white-space: nowrap;
}
@media (max-width: 900px) {
  .body {
    grid-template-columns: minmax(0, 1fr);
    height: auto;
  }
  .large {
    height: 60vh;
  }
  .beside {
    grid-template-rows: 30vh 30vh auto;
  }
}
`;var Ze="x-tomocurate-token",G="Your session is over: open tomocurate again.",f=class extends Error{constructor(t,n){super(n);this.status=t}status},k=class{held=new Map;renewing=null;keep(e,t){this.held.set(e,t)}of(e){return this.held.get(e)??""}renew(){return this.renewing??=this.askAnew().finally(()=>this.renewing=null),this.renewing}async askAnew(){let e=[...this.held],t=await fetch("/api/tokens",{method:"POST",body:JSON.stringify({tokens:e.map(([,s])=>s)})});if(!t.ok)throw new f(t.status,G);let n=(await t.json()).tokens;e.forEach(([s],i)=>this.held.set(s,n[i]))}};async function z(r,e,t,n){let s=()=>fetch(t,{headers:{[Ze]:r.of(e)},signal:n??null}),i=await s();if(i.status===403&&(await r.renew(),i=await s()),i.status===401)throw new f(401,G);if(!i.ok)throw new f(i.status,await Re(i));return i}async function D(r,e){return await(await z(r,e,`/api/volumes/${encodeURIComponent(e)}`)).json()}function q(r,e,t,n,s){let i=`/api/slices/${encodeURIComponent(r)}/${e}/${t}/${n}`;return s?`${i}?full=1`:i}async function Re(r){try{return(await r.json()).error}catch{return`The server answered ${r.status}.`}}function U(r,e){let t=r.reduce((o,a)=>o+a,0);if(t===0)return{black:0,white:255};let n=t*e/100,s=J(r,n),i=255-J([...r].reverse(),n);return i>s?{black:s,white:i}:{black:0,white:255}}function Q(r,e,t){let n=(r.black+r.white)/2-e/2,s=Math.max((r.white-r.black)/2*Math.exp(t/200),2);return{black:n-s,white:n+s}}function ee({black:r,white:e}){let t=new Uint32Array(256);for(let n=0;n<256;n++){let s=Math.round(255*(n-r)/(e-r)),i=Math.min(Math.max(s,0),255);t[n]=4278190080|i<<16|i<<8|i}return t}function J(r,e){let t=0;for(let[n,s]of r.entries())if(t+=s,t>e)return n;return 255}function p(r,e,...t){let n=document.createElement(r);return n.className=e,n.append(...t),n}function v(r,e,t){let n=p("button","",r);return n.type="button",n.title=e,n.addEventListener("click",t),n}function te(r,e,[t,n,s],i){let o=p("input","");return o.type="range",o.min=String(t),o.max=String(n),o.step=String(s),o.value=String(e),o.addEventListener("input",()=>i(Number(o.value))),p("label","slider",r,o)}var b=[0,1,2],P=["z","y","x"],y=["XY","XZ","YZ"],Oe=[1,0,0],Ie=[2,2,1];function M(r){return Oe[r]}function C(r){return Ie[r]}function u(r,e){return{width:r[C(e)],height:r[M(e)]}}function w(r,e){return{column:r[C(e)],row:r[M(e)]}}function ne(r,e,t,n){let s=[...t];return s[M(e)]=Math.floor(r.row),s[C(e)]=Math.floor(r.column),A(s,n)}function A(r,e){let t=r.map((n,s)=>Math.min(Math.max(Math.round(n),0),e[s]-1));return[t[0],t[1],t[2]]}function $(r,e,t,n){let s=[...r];return s[e]+=t,A(s,n)}function se(r,e,t){return Math.floor(r[e]/t)}function re(r,e,t,n){let s=new URLSearchParams(r);return s.set("plane",y[e]),s.set("at",[...t].reverse().join(",")),n?s.set("patch",n):s.delete("patch"),`?${s.toString().replaceAll("%2C",",")}`}function ie(r){let e=new URLSearchParams(r),t=y.indexOf(e.get("plane")??""),n=(e.get("at")??"").split(","),s=n.length===3&&n.every(l=>/^\d{1,6}$/.test(l.trim())),[i,o,a]=n.map(Number);return{plane:t<0?null:t,at:s?[a,o,i]:null,patch:e.get("patch")}}var oe=[["↑ ↓, wheel","next slice (with Shift or Page keys: ten)"],["1 2 3","show XY, XZ or YZ large"],["+ −, Ctrl + wheel","zoom; drag to pan"],["0, double click","whole plane"],["o  f","overlay on or off, fill or outline"],["a","automatic contrast; drag with the right button or Shift to change it"],["y","y up, as 3dmod shows it"],["n  p","next or previous patch"],["Esc","forget the proposal"]],Ne={ArrowUp:{name:"slices",by:1},ArrowDown:{name:"slices",by:-1},PageUp:{name:"slices",by:10},PageDown:{name:"slices",by:-10},1:{name:"plane",axis:0},2:{name:"plane",axis:1},3:{name:"plane",axis:2},"+":{name:"zoom",factor:1.25},"=":{name:"zoom",factor:1.25},"-":{name:"zoom",factor:.8},0:{name:"fit"},o:{name:"overlay"},f:{name:"style"},y:{name:"flip"},a:{name:"contrast"},n:{name:"patch",by:1},p:{name:"patch",by:-1},"?":{name:"help"},Escape:{name:"dismiss"}};function ae(r){if(r.ctrlKey||r.metaKey||r.altKey)return null;let e=Ne[r.key]??null;return r.shiftKey&&(r.key==="ArrowUp"||r.key==="ArrowDown")&&e?.name==="slices"?{name:"slices",by:e.by*10}:e}function V(r){let e=ce(r.length),t=0,n=new Uint32Array(r.buffer,r.byteOffset,r.length>>2);for(let s=0;s<n.length;s++)if(n[s])for(let i=s*4;i<s*4+4;i++)r[i]&&(e[t++]=i);for(let s=n.length*4;s<r.length;s++)r[s]&&(e[t++]=s);return e.slice(0,t)}function le(r,e,t,n=1){let s=r.slice(),i=V(r),o=ce(r.length),a=0,l=i.length;for(let h=0;h<n;h++){let c=a,d=0;for(let m=0;m<l;m++){let x=i[m];ze(s,x,e,t)?i[d++]=x:o[a++]=x}for(let m=c;m<a;m++)s[o[m]]=0;l=d}return o.slice(0,a)}var B=new Uint32Array(0);function ce(r){return B.length<r&&(B=new Uint32Array(r)),B}function ze(r,e,t,n){let s=e%t;return!(s===0||s===t-1||e<t||e>=t*(n-1))&&!!(r[e-1]&&r[e+1]&&r[e-t]&&r[e+t])}function he(r,e,t,n){let s=new Uint32Array(r.length);for(let i=0;i<r.length;i++)s[i]=e[r[i]];for(let{voxels:i,rgb:o}of t)De(s,i,o,n);return s}function pe(r){let e=Number.parseInt(r.slice(1),16);return[e>>16&255,e>>8&255,e&255]}function De(r,e,[t,n,s],i){let o=1-i,a=t*i,l=n*i,h=s*i;for(let c of e){let d=r[c];r[c]=4278190080|(d>>16&255)*o+h<<16|(d>>8&255)*o+l<<8|(d&255)*o+a}}var Ue=96<<20,$e=3,j=class{constructor(e){this.limit=e}limit;entries=new Map;total=0;get(e){let t=this.entries.get(e);if(t)return this.entries.delete(e),this.entries.set(e,t),t.value}has(e){return this.entries.has(e)}put(e,t,n){let s=this.entries.get(e);s&&(this.total-=s.size),this.entries.delete(e),this.entries.set(e,{value:t,size:n}),this.total+=n;for(let[i,{size:o}]of this.entries){if(this.total<=this.limit||i===e)break;this.entries.delete(i),this.total-=o}}clear(){this.entries.clear(),this.total=0}},T=class{constructor(e,t,n,s){this.tokens=e;this.object=t;this.decode=n;this.version=s}tokens;object;decode;version;shelf=new j(Ue);underway=new Map;ahead=[];stopped=new AbortController;address(e,t,n){return q(this.object,this.version,e,t,n)}ready(e){return this.shelf.get(e)}load(e){let t=this.shelf.get(e);if(t)return Promise.resolve(t);let n=this.underway.get(e)??this.fetch(e);return this.underway.set(e,n),n}prefetch(e){this.ahead=e.filter(t=>!this.shelf.has(t)&&!this.underway.has(t)),this.goOn()}stop(){this.stopped.abort(),this.shelf.clear()}goOn(){for(;this.underway.size<$e;){let e=this.ahead.shift();if(e===void 0)return;this.load(e).catch(()=>this.ahead=[])}}async fetch(e){try{let t=await z(this.tokens,this.object,e,this.stopped.signal),n=await this.decode(t,e);return this.shelf.put(e,n,n.values.length),n}finally{this.underway.delete(e),this.goOn()}}};function de(r,e,t){let n=new Uint8Array(e*t),s=Math.ceil(e/8);for(let i=0;i<r.length;i++){let o=r[i];if(!o)continue;let a=i%s*8,l=Math.floor(i/s)*e+a,h=Math.min(8,e-a);for(let c=0;c<h;c++)n[l+c]=o>>7-c&1}return{width:e,height:t,values:n}}async function me(r){let e=await createImageBitmap(await r.blob(),{colorSpaceConversion:"none"}),{width:t,height:n}=e,i=new OffscreenCanvas(t,n).getContext("2d",{willReadFrequently:!0});i.drawImage(e,0,0),e.close();let o=new Uint32Array(i.getImageData(0,0,t,n).data.buffer),a=new Uint8Array(o.length);for(let l=0;l<o.length;l++)a[l]=o[l]&255;return{width:t,height:n,values:a}}var Be=3,Ve=410,S=class r{constructor(e,t,n,s){this.object=e;this.tokens=t;this.facts=n;this.slices=s}object;tokens;facts;slices;shown=!0;failed=null;drawn=new WeakMap;static async open(e,t){t.keep(e.object,e.token);let n=await D(t,e.object),s=n.look==="gray"?me:je(n.planeShape);return new r(e,t,n,new T(t,e.object,s,n.version))}async refresh(){let e=await D(this.tokens,this.object.object),t=e.version!==this.facts.version;return this.facts=e,this.slices.version=e.version,t}ready(e,t,n){return this.slices.ready(this.address(e,t,n))}async load(e,t,n){try{return await this.slices.load(this.address(e,t,n))}catch(s){if(!(s instanceof f)||s.status!==Ve)throw s;return await this.refresh(),this.slices.load(this.address(e,t,n))}}lookAhead(e,t,n,s){let i=this.index(e,t,s),o=(s?this.facts.shape:this.facts.planeShape)[e]-1,l=[1,2,Be,-1].map(h=>i+h*(n||1)).filter(h=>h>=0&&h<=o);this.slices.prefetch(l.map(h=>this.slices.address(P[e],h,s)))}mask(e,t,n){let s=pe(this.object.color??"#56B4E9"),i=t==="fill"?0:n,o=this.drawn.get(e);if(o?.thick!==i){let{values:a,width:l,height:h}=e,c=i?le(a,l,h,i):V(a);o={thick:i,voxels:c},this.drawn.set(e,o)}return{voxels:o.voxels,rgb:s}}stop(){this.slices.stop()}index(e,t,n){return n?t[e]:se(t,e,this.facts.binning)}address(e,t,n){return this.slices.address(P[e],this.index(e,t,n),n)}};function je(r){return async(e,t)=>{let n=P.findIndex(o=>t.includes(`/${o}/`)),{width:s,height:i}=u(r,n);return de(new Uint8Array(await e.arrayBuffer()),s,i)}}function ue(r,e,t){let n=10/r*e,s=t/n,i=10**Math.floor(Math.log10(s)),o=[5,2,1].find(a=>a*i<=s)??1;return{nanometers:o*i,pixels:o*i*n}}function H(r,e,t,n,s){let i=Math.min(t/r,n/e);return{scale:i,left:(t-r*i)/2,top:(n-e*i)/2,flipped:s}}function L(r,e,t){let n=r.flipped?t-e.row:e.row;return{x:r.left+e.column*r.scale,y:r.top+n*r.scale}}function fe(r,e,t,n){let s=(t-r.top)/r.scale;return{column:(e-r.left)/r.scale,row:r.flipped?n-s:s}}function ve(r,e,t,n,s){let i=Math.min(Math.max(r.scale*e,s),16),o=i/r.scale;return{...r,scale:i,left:t-(t-r.left)*o,top:n-(n-r.top)*o}}function _(r,e,t,n,s){let i=(o,a,l)=>Math.min(Math.max(o,l*.25-a),l*.75);return{...r,left:i(r.left+e,n.width*r.scale,s.width),top:i(r.top+t,n.height*r.scale,s.height)}}var F="rgba(0,0,0,.7)",He=.6;function X(r,e,t,n,s){let{axis:i,context:o,pixelRatio:a}=r;if(n[i]<e[i]||n[i]>=t[i])return!1;let l=g(r,e),h=g(r,t),c=[Math.min(l.x,h.x),Math.min(l.y,h.y),Math.abs(h.x-l.x),Math.abs(h.y-l.y)];return o.save(),o.globalAlpha=s.faint?He:1,o.strokeStyle=F,o.lineWidth=(s.width+(s.faint?1.5:2.5))*a,o.strokeRect(...c),o.strokeStyle=s.color,o.lineWidth=s.width*a,o.setLineDash(s.dashed?[6*a,4*a]:[]),o.strokeRect(...c),o.restore(),!0}function K(r,e,t,n){let{context:s,pixelRatio:i,axis:o}=r,{x:a,y:l}=g(r,e,.5);s.save(),s.beginPath(),s.arc(a,l,4*i,0,2*Math.PI),s.strokeStyle=F,s.lineWidth=4*i,s.stroke(),s.lineWidth=1.5*i,s.strokeStyle=n,s.fillStyle=n,Math.abs(e[o]-t[o])<=1&&s.fill(),s.stroke(),s.restore()}function ye(r,e,t,n,s){let{context:i,pixelRatio:o}=r,a=g(r,e),l=g(r,t);i.save(),i.font=`${11*o}px system-ui, sans-serif`;let h=Math.min(a.x,l.x)+4*o,c=Math.min(a.y,l.y)+14*o;i.lineWidth=3*o,i.strokeStyle=F,i.strokeText(n,h,c),i.fillStyle=s,i.fillText(n,h,c),i.restore()}function xe(r,e,t){let{context:n,view:s,axis:i,shape:o,pixelRatio:a}=r,{width:l,height:h}=u(o,i),{x:c,y:d}=g(r,e,.5),m=10*a,x=s.left+l*s.scale,E=s.top+h*s.scale;n.save(),n.strokeStyle=t,n.globalAlpha=.7,n.lineWidth=a,n.beginPath();for(let[N,Me,Ce,Te]of[[s.left,d,c-m,d],[c+m,d,x,d],[c,s.top,c,d-m],[c,d+m,c,E]])n.moveTo(N,Me),n.lineTo(Ce,Te);n.stroke(),n.restore()}function ge(r,e){let{context:t,view:n,pixelRatio:s}=r,i=ue(e,n.scale,t.canvas.width*.25),o=12*s,a=t.canvas.height-14*s;t.save(),t.shadowColor="black",t.shadowBlur=3*s,t.fillStyle="white",t.fillRect(o,a,i.pixels,4*s),t.font=`600 ${12*s}px system-ui, sans-serif`,t.fillText(`${i.nanometers} nm`,o,a-6*s),t.restore()}function g(r,e,t=0){let{axis:n,view:s,shape:i}=r,o=w(e,n),{height:a}=u(i,n);return L(s,{column:o.column+t,row:o.row+t},a)}var Fe=4,Xe=250,Ke=1.0015,Z=class{constructor(e,t,n){this.axis=e;this.scene=t;this.events=n;this.element=document.createElement("div"),this.element.className="pane",this.canvas=document.createElement("canvas"),this.caption=document.createElement("span"),this.caption.className="caption",this.element.append(this.canvas,this.caption),this.context=this.canvas.getContext("2d"),this.listen()}axis;scene;events;element;canvas;context;picture=new OffscreenCanvas(1,1);caption;view=null;touched=!1;gray=null;wanted=0;direction=1;wheel=0;lastIndex=-1;get shows(){return this.axis}show(e){e!==this.axis&&(this.axis=e,this.gray=null,this.lastIndex=-1,this.fit())}fit(){this.touched=!1,this.view=null}zoom(e){this.zoomAt(e,this.canvas.width/2,this.canvas.height/2)}reveal(e){let t=this.scene();if(!t||!this.view)return;let{width:n,height:s}=this.canvas,i=u(t.tomogram.facts.shape,this.axis),{x:o,y:a}=L(this.view,w(e,this.axis),i.height);o>=0&&a>=0&&o<n&&a<s||(this.view=_(this.view,n/2-o,s/2-a,i,this.canvas))}async update(){let e=this.scene();if(!e)return;let t=++this.wanted,n=this.wantsFull(e),s=e.at[this.axis];this.lastIndex>=0&&s!==this.lastIndex&&(this.direction=Math.sign(s-this.lastIndex)),this.lastIndex=s;let i=[e.tomogram,...this.overlays(e)],o=setTimeout(()=>this.element.classList.add("waiting"),Xe);try{let a=i.map(c=>this.slice(c,e,n)),l=a.every(c=>!(c instanceof Promise))?a:await Promise.all(a.map((c,d)=>d?this.spared(c,i[d]):c));if(t!==this.wanted)return;let h=i.flatMap((c,d)=>d&&l[d]?[{layer:c,slice:l[d]}]:[]);this.paint(e,l[0],h.map(c=>c.layer),h.map(c=>c.slice)),this.draw(),this.events.shown(this.axis,s);for(let c of i)c.lookAhead(this.axis,e.at,this.direction,n&&c===e.tomogram)}catch(a){t===this.wanted&&this.events.failed(a)}finally{clearTimeout(o),t===this.wanted&&this.element.classList.remove("waiting")}}draw(){let e=this.scene();if(!e)return;let t=this.viewport(e),{context:n,canvas:s}=this,i=u(e.tomogram.facts.shape,this.axis);n.setTransform(1,0,0,1,0,0),n.clearRect(0,0,s.width,s.height),this.gray&&this.drawPicture(e,t,i);let o={context:n,view:t,axis:this.axis,shape:e.tomogram.facts.shape,pixelRatio:devicePixelRatio};this.drawPatches(o,e),xe(o,e.at,e.data.colors.selected);let a=e.tomogram.facts.voxelSizeAngstrom;a&&ge(o,a);let l="zyx"[this.axis];this.caption.textContent=`${y[this.axis]}  ${l} = ${e.at[this.axis]} / ${e.tomogram.facts.shape[this.axis]-1}`}resize(){let e=this.element.getBoundingClientRect(),t=Math.max(1,Math.round(e.width*devicePixelRatio)),n=Math.max(1,Math.round(e.height*devicePixelRatio));t===this.canvas.width&&n===this.canvas.height||(this.canvas.width=t,this.canvas.height=n,this.touched||(this.view=null),this.draw())}async spared(e,t){try{return await e}catch(n){if(!(n instanceof f))throw n;return t.failed=n.message,this.events.overlayFailed(t),null}}slice(e,t,n){let s=n&&e===t.tomogram;return e.ready(this.axis,t.at,s)??e.load(this.axis,t.at,s)}overlays(e){return e.overlay?e.segmentations.filter(t=>t.shown&&!t.failed):[]}wantsFull(e){let{binning:t}=e.tomogram.facts;return this.axis===0&&t>1&&this.viewport(e).scale*t>1.5}thickness(e){let t=this.viewport(e).scale*e.tomogram.facts.binning;return Math.min(4,Math.max(1,Math.round(1.3*devicePixelRatio/t)))}paint(e,t,n,s){let i=this.thickness(e),o=s.map((c,d)=>n[d].mask(c,e.style,i)),a=s.every(c=>c.width===t.width&&c.height===t.height),l=he(t.values,ee(e.contrast),a?o:[],e.opacity);this.picture.width=t.width,this.picture.height=t.height;let h=this.picture.getContext("2d");h.putImageData(new ImageData(new Uint8ClampedArray(l.buffer),t.width),0,0),a||this.paintScaled(h,o,s,e.opacity),this.gray=t}paintScaled(e,t,n,s){e.imageSmoothingEnabled=!1,t.forEach(({voxels:i,rgb:[o,a,l]},h)=>{let{width:c,height:d}=n[h],m=new Uint32Array(c*d),x=Math.round(s*255)<<24|l<<16|a<<8|o;for(let N of i)m[N]=x;let E=new OffscreenCanvas(c,d);E.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(m.buffer),c),0,0),e.drawImage(E,0,0,this.picture.width,this.picture.height)})}drawPicture(e,t,n){let{context:s,picture:i}=this,{binning:o}=e.tomogram.facts,a=i.width*o>=n.width&&i.width<n.width?o:n.width/i.width,l=i.width*a*t.scale,h=i.height*a*t.scale;s.imageSmoothingEnabled=t.scale*a<2.5,s.imageSmoothingQuality="medium",s.save(),t.flipped&&(s.translate(0,2*t.top+n.height*t.scale),s.scale(1,-1)),s.drawImage(i,t.left,t.top,l,h),s.restore()}drawPatches(e,t){let n=this.element.classList.contains("large"),s=l=>+(l===t.selected);for(let l of[...t.data.patches].sort((h,c)=>s(h.name)-s(c.name))){let h=l.name===t.selected,c=h?t.data.colors.selected:l.color,d={color:c,width:h?2.5:1.5,dashed:!1,faint:!h};X(e,l.start,l.stop,t.at,d)&&(K(e,l.center,t.at,c),(n||h)&&ye(e,l.start,l.stop,l.label,c))}let{proposal:i}=t;if(!i)return;let a=i.leaves||i.overlaps.length>0?t.data.colors.refused:t.data.colors.proposed;X(e,i.start,i.stop,t.at,{color:a,width:2,dashed:!0,faint:!1}),K(e,i.center,t.at,a)}viewport(e){if(!this.view||this.view.flipped!==e.flipped){let t=u(e.tomogram.facts.shape,this.axis);this.view=H(t.width,t.height,this.canvas.width,this.canvas.height,e.flipped)}return this.view}zoomAt(e,t,n){let s=this.scene();if(!s)return;let i=u(s.tomogram.facts.shape,this.axis),{width:o,height:a}=this.canvas,l=H(i.width,i.height,o,a,!1).scale/2,h=[this.wantsFull(s),this.thickness(s)].join();this.view=ve(this.viewport(s),e,t,n,l),this.touched=!0,[this.wantsFull(s),this.thickness(s)].join()===h?this.draw():this.update()}listen(){let{canvas:e}=this;e.addEventListener("wheel",t=>this.wheeled(t),{passive:!1}),e.addEventListener("pointerdown",t=>this.pressed(t)),e.addEventListener("pointermove",t=>this.hover(t)),e.addEventListener("pointerleave",()=>this.events.hovered(null,null)),e.addEventListener("contextmenu",t=>t.preventDefault()),e.addEventListener("dblclick",()=>{this.fit(),this.draw()})}wheeled(e){e.preventDefault();let[t,n]=this.pixel(e);if(e.ctrlKey||e.metaKey){this.zoomAt(Ke**-e.deltaY,t,n);return}let s=e.deltaY||e.deltaX;this.wheel+=Math.abs(s)>=50?Math.sign(s)*50:s;let i=Math.trunc(this.wheel/50);this.wheel-=i*50,i&&this.events.scrolled(this.axis,e.shiftKey?i*10:i)}pressed(e){let t=e.button===2||e.shiftKey;if(e.button>2)return;this.canvas.setPointerCapture(e.pointerId);let n=e,s=!1,i=a=>{if(s||=Math.hypot(a.clientX-e.clientX,a.clientY-e.clientY)>Fe,!s)return;let l=a.clientX-n.clientX,h=a.clientY-n.clientY;n=a,t?this.events.contrastDragged(l,h):this.pan(l*devicePixelRatio,h*devicePixelRatio)},o=a=>{this.canvas.removeEventListener("pointermove",i),this.canvas.removeEventListener("pointerup",o),this.canvas.removeEventListener("pointercancel",o),t?this.events.contrastEnded():!s&&a.type==="pointerup"&&e.button===0&&this.clicked(a)};this.canvas.addEventListener("pointermove",i),this.canvas.addEventListener("pointerup",o),this.canvas.addEventListener("pointercancel",o)}pan(e,t){let n=this.scene();if(!n)return;let s=u(n.tomogram.facts.shape,this.axis);this.view=_(this.viewport(n),e,t,s,this.canvas),this.touched=!0,this.draw()}clicked(e){let t=this.voxelAt(e);t&&this.events.clicked(this.axis,t)}hover(e){let t=this.voxelAt(e);this.events.hovered(t,t&&this.grayAt(t))}grayAt(e){let t=this.scene();if(!t||!this.gray)return null;let n=u(t.tomogram.facts.shape,this.axis),s=w(e,this.axis),i=Math.floor(s.column*this.gray.width/n.width),o=Math.floor(s.row*this.gray.height/n.height);return this.gray.values[o*this.gray.width+i]??null}voxelAt(e){let t=this.scene();if(!t)return null;let{shape:n}=t.tomogram.facts,s=u(n,this.axis),[i,o]=this.pixel(e),a=fe(this.viewport(t),i,o,s.height);return a.column>=0&&a.row>=0&&a.column<s.width&&a.row<s.height?ne(a,this.axis,t.at,n):null}pixel(e){let t=this.canvas.getBoundingClientRect();return[(e.clientX-t.left)*this.canvas.width/t.width,(e.clientY-t.top)*this.canvas.height/t.height]}};var be=["z","y","x"];function R(r,e,t,n){let[s,i]=Ye(r,t),o=s.some((l,h)=>l<0||i[h]>e[h]),a=n.filter(l=>l.start.every((h,c)=>Math.max(h,s[c])<Math.min(l.stop[c],i[c]))).map(l=>l.name);return{center:r,start:s,stop:i,leaves:o,fits:o?We(r,e,t):r,overlaps:a}}function we(r){return r.leaves?r.fits?null:"pad":"refuse"}function Ye(r,e){let t=r.map(s=>s-Math.floor(e/2)),n=t.map(s=>s+e);return[Y(t),Y(n)]}function We(r,e,t){let n=Math.floor(t/2);return Math.min(...e)<t?null:Y(r.map((s,i)=>Math.min(Math.max(s,n),e[i]-t+n)))}function Ae(r,e,t){if(r.leaves&&!r.fits){let n=be.filter((s,i)=>e[i]<t).reverse().join(" and ");return`The tomogram is thinner than ${t} voxels in ${n}; what is missing can be padded (ignore).`}return r.leaves?`The box leaves the tomogram in ${be.filter((s,i)=>r.start[i]<0||r.stop[i]>e[i]).reverse().join(" and ")}.`:r.overlaps.length?`The box overlaps ${r.overlaps.join(", ")}.`:null}function Y(r){return[r[0],r[1],r[2]]}var Ge="A preview is being made. Until it is there, XZ and YZ come from the file itself and may take seconds.";function Se(r,e){let t=p("div","side"),{message:n,messageIsError:s}=r.data;n&&!r.proposal&&t.append(p("p",s?"against":"done",n)),r.tomogram.facts.hasPreview||t.append(p("p","note",Ge)),t.append(...r.proposal?Je(r,e):qe(r));let i=p("ul","rules",...r.data.rules.map(o=>p("li","",o)));return t.append(p("h4","","When painting"),i),t}function qe(r){let e=r.data.patches.find(n=>n.name===r.selected);if(e){let[n,s,i]=e.center;return[p("h4","",e.name),p("p","",`${e.note}. Center ${i}, ${s}, ${n}.`)]}let t=r.data.mayChoose?"Click where the prediction is wrong and you can still see what is there.":"You can look around here; choosing needs a segmentation and the role for it.";return[p("h4","","Choose a patch"),p("p","",t)]}function Je(r,e){let t=r.proposal,{shape:n}=r.tomogram.facts,[s,i,o]=t.center,a=Ae(t,n,r.data.patchSide),l=[p("h4","","New patch"),p("p","",`Center ${o}, ${i}, ${s} (x, y, z).`)];a&&l.push(p("p","against",a));let h=we(t);h===null?l.push(v("Shift to fit","Move the center to the nearest legal one",e.shifted)):l.push(p("p","",h==="pad"?"Pad, and choose because of":"Choose because of"),Qe(r,h,e));let c=v("Dismiss","Forget this proposal (Esc)",e.dismissed);return c.className="quiet",[...l,c]}function Qe(r,e,t){let n=p("div","reasons");for(let s of r.data.reasons){let i=v(s.label,"Save this patch",()=>t.chosen(s.value,e));i.dataset.why=s.value,n.append(i)}return n}function Ee(r,e){let t=p("div","group");for(let i of b){let o=v(y[i],`Show ${y[i]} large (${i+1})`,()=>e.planeChosen(i));o.setAttribute("aria-pressed",String(i===r.main)),t.append(o)}let n=p("div","group");for(let i of[.1,.5,2]){let o=`Black and white at ${i} % of the voxels; or drag with the right button`;n.append(v(`${i} %`,o,()=>e.contrastByPercent(i)))}let s=p("div","toolbar",t,...et(r,e));return s.append(p("span","word","Contrast"),n),s.append(v("Fit","Whole plane (0)",e.fitted),v("?","Keys (?)",e.helped)),s}function et(r,e){if(!r.segmentations.length)return[];let t=p("div","layers");for(let i of r.segmentations){let o=p("input","");o.type="checkbox",o.checked=r.overlay&&i.shown&&!i.failed,o.disabled=i.failed!==null,o.addEventListener("change",()=>{i.shown=o.checked,o.checked&&(r.overlay=!0),e.overlayChanged()});let a=p("span","chip");a.style.background=i.object.color??"";let l=p("label","layer",o,a,p("span","name",i.object.name));l.title=i.failed??i.object.name,t.append(l)}let n=v(r.style==="fill"?"Fill":"Outline","Fill or outline (f)",()=>{r.style=r.style==="fill"?"outline":"fill",e.overlayChanged()}),s=te("Opacity",r.opacity,[.1,1,.05],i=>{r.opacity=i,e.opacityChanged()});return[t,n,s]}var Pe=3e3,tt=300,nt=8,O=class{constructor(e){this.component=e;this.panes=b.map(s=>new Z(s,()=>this.scene,this.paneEvents()));let t=this.panes[0].element;t.classList.add("large"),this.beside.append(this.panes[1].element,this.panes[2].element,this.info);let n=p("div","body",t,this.beside);this.root.append(this.bar,n,this.status,this.help),this.root.tabIndex=0,this.root.addEventListener("keydown",s=>this.pressed(s)),this.root.addEventListener("pointerenter",()=>this.focusGently()),this.panes.forEach(s=>{this.sizes.observe(s.element),s.element.addEventListener("pointerenter",()=>this.hovering=s.shows),s.element.addEventListener("pointerleave",()=>this.hovering=null)}),this.fillHelp(),e.parentElement.append(this.root)}component;root=p("div","viewer");bar=p("div","bar");status=p("div","status");beside=p("div","beside");info=p("div","info");help=p("dialog","help");tokens=new k;panes;sizes=new ResizeObserver(()=>this.panes.forEach(e=>e.resize()));scene=null;opened="";fresh=!0;hovering=null;poll=0;addressTimer=0;ended=!1;async take(e){this.component=e;let{data:t}=e;t.height&&this.root.style.setProperty("--viewer-height",`${t.height}px`);let n=[t.tomogram,...t.segmentations];for(let{object:a,token:l}of n)this.tokens.keep(a,l);let s=n.map(a=>a.object).join(" ");if(s!==this.opened){this.opened=s,await this.open(t);return}let{scene:i}=this;if(!i)return;let o=t.selected!==i.data.selected&&t.selected!==i.selected;i.data=t,o&&this.select(t.selected),this.adopt(i),this.refreshAll()}end(){this.ended=!0,clearTimeout(this.poll),clearTimeout(this.addressTimer),this.sizes.disconnect(),this.stopLayers(),this.root.remove()}async open(e){this.say("Opening …"),this.stopLayers(),this.scene=null;try{let t=[],[n,...s]=await Promise.all([S.open(e.tomogram,this.tokens),...e.segmentations.map(o=>this.openOverlay(o,t))]),i=s.filter(o=>o!==null);if(this.ended||e.tomogram.object!==this.component.data.tomogram.object)return;this.scene=this.begin(e,n,i),this.panes.forEach(o=>o.fit()),this.arrange(),this.panes.forEach(o=>o.resize()),this.refreshAll(),this.watchPreviews(),this.say(t.join(" "),t.length>0)}catch(t){this.failed(t)}}async openOverlay(e,t){try{return await S.open(e,this.tokens)}catch(n){if(!(n instanceof f))throw n;return t.push(n.message),null}}begin(e,t,n){let{shape:s,histogram:i}=t.facts,o=ie(this.fresh?location.search:"");this.fresh=!1;let a=e.selected??o.patch,l=e.patches.find(d=>d.name===a),h=[s[0]/2,s[1]/2,s[2]/2],c=o.at??e.at??l?.center??h;return{data:e,tomogram:t,segmentations:n,at:A([Math.floor(c[0]),Math.floor(c[1]),Math.floor(c[2])],s),main:o.plane??e.plane,contrast:U(i,.5),style:"outline",opacity:.6,overlay:!0,flipped:!1,selected:l?.name??null,proposal:null}}adopt(e){let{proposal:t}=e;if(!t)return;let n=e.data.patches.some(s=>String(s.center)===String(t.center));e.proposal=n?null:R(t.center,e.tomogram.facts.shape,e.data.patchSide,e.data.patches)}paneEvents(){return{scrolled:(e,t)=>this.go($(this.scene.at,e,t,this.scene.tomogram.facts.shape)),clicked:(e,t)=>this.clicked(e,t),hovered:(e,t)=>this.hovered(e,t),contrastDragged:(e,t)=>{this.scene.contrast=Q(this.scene.contrast,e,t),this.updatePanes()},contrastEnded:()=>{},shown:(e,t)=>{this.root.dataset[`shown${"ZYX"[e]}`]=String(t),this.root.dispatchEvent(new CustomEvent("sliceshown",{detail:{axis:e,index:t}}))},failed:e=>this.failed(e),overlayFailed:e=>{this.refreshBar(),this.say(e.failed,!0)}}}clicked(e,t){let{scene:n}=this;if(!n)return;let{data:s,tomogram:i}=n,o=this.patchNear(e,t);n.selected=o,n.proposal=s.mayChoose&&!o?R(t,i.facts.shape,s.patchSide,s.patches):null,this.go(t),this.refreshSide()}patchNear(e,t){return this.scene.data.patches.find(({center:s,start:i,stop:o})=>t[e]>=i[e]&&t[e]<o[e]&&s.every((a,l)=>l===e||Math.abs(a-t[l])<=nt))?.name??null}select(e){let{scene:t}=this;if(!t)return;let n=t.data.patches.find(s=>s.name===e);t.selected=n?.name??null,n&&(t.at=A(n.center,t.tomogram.facts.shape))}go(e){let{scene:t}=this;if(!t)return;let n=t.at;t.at=e;for(let s of this.panes)e[s.shows]===n[s.shows]?s.draw():s.update();this.tellAddress()}tellAddress(){clearTimeout(this.addressTimer),this.addressTimer=setTimeout(()=>{let{scene:e}=this;if(!e||this.ended)return;let t=re(location.search,e.main,e.at,e.selected);history.replaceState(history.state,"",`${location.pathname}${t}${location.hash}`)},tt)}hovered(e,t){let{scene:n}=this;if(!n||!e)return this.say("");let[s,i]=n.tomogram.facts.window,o=t===null?"":`   ≈ ${(s+(i-s)*t/255).toPrecision(4)}`;this.say(`x ${e[2]}   y ${e[1]}   z ${e[0]}${o}`)}pressed(e){let t=ae(e);!t||!this.scene||e.target instanceof HTMLInputElement||(e.preventDefault(),e.stopPropagation(),this.act(t,this.scene))}act(e,t){let{shape:n}=t.tomogram.facts;switch(e.name){case"slices":return this.go($(t.at,this.hovering??t.main,e.by,n));case"plane":return this.enlarge(e.axis);case"zoom":return this.panes[0].zoom(e.factor);case"patch":return this.step(e.by);case"fit":return this.fit();case"overlay":return t.overlay=!t.overlay,this.refreshAll();case"style":return t.style=t.style==="fill"?"outline":"fill",this.refreshAll();case"flip":return t.flipped=!t.flipped,this.refreshAll();case"contrast":return this.contrastBy(.5);case"help":return this.toggleHelp();case"dismiss":return this.help.open?this.help.close():(t.proposal=null,this.refreshAll())}}step(e){let{patches:t}=this.scene.data;if(!t.length)return;let n=t.findIndex(i=>i.name===this.scene.selected),s=t[(n+e+t.length)%t.length];this.select(s.name),this.refreshAll()}enlarge(e){this.scene.main=e,this.arrange(),this.refreshAll()}arrange(){let{main:e}=this.scene,t=[e,...b.filter(n=>n!==e)];this.panes.forEach((n,s)=>n.show(t[s]))}fit(){this.panes.forEach(e=>e.fit()),this.updatePanes()}contrastBy(e){this.scene.contrast=U(this.scene.tomogram.facts.histogram,e),this.updatePanes()}choose(e,t){let{proposal:n}=this.scene;if(!n)return;let[s,i,o]=n.center,a={center_xyz:[o,i,s],why:e,near_border:t,nonce:Date.now()};this.info.classList.add("saving"),this.component.setTriggerValue("chosen",a)}shift(){let{scene:e}=this,t=e?.proposal?.fits;!e||!t||(e.proposal=R(t,e.tomogram.facts.shape,e.data.patchSide,e.data.patches),this.go(t),this.refreshSide())}refreshAll(){this.refreshBar(),this.refreshSide(),this.updatePanes(),this.tellAddress(),this.root.dataset.patches=String(this.scene?.data.patches.length??0)}refreshBar(){let{scene:e}=this;e&&this.keepFocus(()=>this.bar.replaceChildren(Ee(e,{planeChosen:t=>this.enlarge(t),overlayChanged:()=>this.refreshAll(),opacityChanged:()=>this.updatePanes(),contrastByPercent:t=>this.contrastBy(t),fitted:()=>this.fit(),helped:()=>this.toggleHelp()})))}refreshSide(){let{scene:e}=this;e&&(this.info.classList.remove("saving"),this.keepFocus(()=>this.info.replaceChildren(Se(e,{shifted:()=>this.shift(),dismissed:()=>this.act({name:"dismiss"},e),chosen:(t,n)=>this.choose(t,n)}))),this.panes.forEach(t=>t.draw()))}keepFocus(e){let t=this.root.getRootNode(),n=this.root.contains(t.activeElement);e(),n&&!this.root.contains(t.activeElement)&&this.root.focus({preventScroll:!0})}updatePanes(){this.panes.forEach(e=>{e.update()})}watchPreviews(){clearTimeout(this.poll);let{scene:e}=this,t=[e.tomogram,...e.segmentations].filter(n=>!n.facts.hasPreview);t.length&&(this.poll=setTimeout(async()=>{try{let n=await Promise.all(t.map(s=>s.refresh()));if(this.ended||e!==this.scene)return;n.some(Boolean)&&this.refreshAll(),this.watchPreviews()}catch(n){this.failed(n)}},Pe))}failed(e){if(this.ended||e instanceof DOMException&&e.name==="AbortError")return;let t=e instanceof f;this.say(t?e.message:"The server cannot be reached; this view goes on when it is back.",!0),t||setTimeout(()=>this.scene?this.updatePanes():this.retryOpen(),Pe)}retryOpen(){this.ended||this.open(this.component.data)}say(e,t=!1){this.status.textContent=e,this.status.classList.toggle("bad",t)}toggleHelp(){this.help.open?this.help.close():this.help.show()}fillHelp(){let e=oe.map(([t,n])=>p("tr","",p("td","keys",t),p("td","",n)));this.help.append(p("h4","","Keys"),p("table","",...e)),this.help.addEventListener("click",()=>this.help.close())}focusGently(){let e=document.activeElement;e instanceof HTMLInputElement||e instanceof HTMLTextAreaElement||this.root.focus({preventScroll:!0})}stopLayers(){this.scene?.tomogram.stop(),this.scene?.segmentations.forEach(e=>e.stop())}};var I=new WeakMap;function st(r){let{parentElement:e}=r,t=I.get(e);if(!t){let n=document.createElement("style");n.textContent=W,e.append(n),t=new O(r),I.set(e,t)}return t.take(r),()=>{I.get(e)?.end(),I.delete(e)}}export{st as default};
