"use strict"; fetch("status?files=no").then((answer) => answer.json()).then((status) => { document.getElementById("verdict").textContent = status.verdict.sentence; });
