<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
  <context>
    <name>rs2sam</name>
    <message>
      <source>What is looked for, e.g. 'the storage tanks' or 'the largest building'.</source>
      <translation>Was gesucht wird, z. B. 'the storage tanks' oder 'the largest building' (auf Englisch).</translation>
    </message>
    <message>
      <source>With its unit: 40px or 25m2.</source>
      <translation>Mit Einheit: 40px oder 25m2.</translation>
    </message>
    <message>
      <source>As of rs2sam segment --help, e.g. --exhaustive --scope tile.</source>
      <translation>Wie bei rs2sam segment --help, z. B. --exhaustive --scope tile.</translation>
    </message>
    <message>
      <source>Sentences, one a line</source>
      <translation>Sätze, einer je Zeile</translation>
    </message>
    <message>
      <source>Confidence above which a pixel counts</source>
      <translation>Konfidenz, ab der ein Pixel zählt</translation>
    </message>
    <message>
      <source>Least area of a region</source>
      <translation>Kleinste Fläche einer Region</translation>
    </message>
    <message>
      <source>Simplify outlines within [m]</source>
      <translation>Umrisse vereinfachen, innerhalb von [m]</translation>
    </message>
    <message>
      <source>Square up outlines, as those of buildings</source>
      <translation>Umrisse rechtwinklig machen, wie bei Gebäuden</translation>
    </message>
    <message>
      <source>Model</source>
      <translation>Modell</translation>
    </message>
    <message>
      <source>Name, folder or hub id; empty: the one in the settings.</source>
      <translation>Name, Ordner oder Hub-Kennung; leer: das der Einstellungen.</translation>
    </message>
    <message>
      <source>Bands shown as red,green,blue</source>
      <translation>Als Rot,Grün,Blau gezeigte Kanäle</translation>
    </message>
    <message>
      <source>Counted from 1, e.g. 4,3,2; or one for grey.</source>
      <translation>Ab 1 gezählt, z. B. 4,3,2; oder einer für Grau.</translation>
    </message>
    <message>
      <source>Values to 8 bit</source>
      <translation>Werte auf 8 Bit</translation>
    </message>
    <message>
      <source>none, percentile:2,98 or fixed:0,3000.</source>
      <translation>none, percentile:2,98 oder fixed:0,3000.</translation>
    </message>
    <message>
      <source>Side of a tile [px]</source>
      <translation>Kantenlänge einer Kachel [px]</translation>
    </message>
    <message>
      <source>Resolution shown to the model [m/px]</source>
      <translation>Dem Modell gezeigte Auflösung [m/px]</translation>
    </message>
    <message>
      <source>Ask about the mirror image too (takes twice as long)</source>
      <translation>Auch das Spiegelbild befragen (dauert doppelt so lange)</translation>
    </message>
    <message>
      <source>Further options of the command line</source>
      <translation>Weitere Optionen der Befehlszeile</translation>
    </message>
    <message>
      <source>Found</source>
      <translation>Gefunden</translation>
    </message>
    <message>
      <source>Mask</source>
      <translation>Maske</translation>
    </message>
    <message>
      <source>Class map</source>
      <translation>Klassenkarte</translation>
    </message>
    <message>
      <source>Folder with everything that rs2sam writes</source>
      <translation>Ordner mit allem, was rs2sam schreibt</translation>
    </message>
    <message>
      <source>Regions found</source>
      <translation>Gefundene Regionen</translation>
    </message>
    <message>
      <source>Summary</source>
      <translation>Zusammenfassung</translation>
    </message>
    <message>
      <source>Segment many rasters by sentence</source>
      <translation>Viele Raster nach einem Satz segmentieren</translation>
    </message>
    <message>
      <source>Finds what each sentence names in many rasters: layers, or a folder that is searched at any depth. A raster that fails does not stop the others. The folder gets the results of each, and a run again with the same folder goes on where it ended. The polygons of all are loaded together; those of rasters without a CRS are in the folder only. Runs as a program, never over the server.</source>
      <translation>Findet in vielen Rastern, was jeder Satz benennt: in Layern oder in einem Ordner, der beliebig tief durchsucht wird. Ein Raster, das scheitert, hält die anderen nicht auf. Der Ordner erhält die Ergebnisse von jedem; ein neuer Lauf mit demselben Ordner macht weiter, wo der letzte endete. Die Polygone aller werden zusammen geladen; die von Rastern ohne KBS stehen nur im Ordner. Läuft als Programm, nie über den Server.</translation>
    </message>
    <message>
      <source>Rasters</source>
      <translation>Raster</translation>
    </message>
    <message>
      <source>Or a folder of rasters</source>
      <translation>Oder ein Ordner mit Rastern</translation>
    </message>
    <message>
      <source>Do finished rasters again</source>
      <translation>Fertige Raster noch einmal</translation>
    </message>
    <message>
      <source>Folder of the results</source>
      <translation>Ordner der Ergebnisse</translation>
    </message>
    <message>
      <source>Rasters done</source>
      <translation>Fertige Raster</translation>
    </message>
    <message>
      <source>Rasters failed</source>
      <translation>Gescheiterte Raster</translation>
    </message>
    <message>
      <source>Choose rasters or a folder of rasters, and not both.</source>
      <translation>Wählen Sie Raster oder einen Ordner mit Rastern, nicht beides.</translation>
    </message>
    <message>
      <source>{scene}: parts of it could not be read and have no data.</source>
      <translation>{scene}: Teile davon konnten nicht gelesen werden und haben keine Daten.</translation>
    </message>
    <message>
      <source>Refine a result</source>
      <translation>Ein Ergebnis verfeinern</translation>
    </message>
    <message>
      <source>Decides anew what counts in a result of 'Segment by sentence' that has kept its probabilities: another confidence, least area, simpler outlines, or a sentence that compares ('the largest building' of 'the buildings'). Neither the raster nor the model is needed, so it takes a moment. Runs as a program, never over the server.</source>
      <translation>Entscheidet neu, was in einem Ergebnis von 'Nach einem Satz segmentieren' zählt, das seine Wahrscheinlichkeiten behalten hat: andere Konfidenz, kleinste Fläche, einfachere Umrisse oder ein Satz, der vergleicht ('the largest building' zu 'the buildings'). Weder Raster noch Modell werden gebraucht, es dauert einen Augenblick. Läuft als Programm, nie über den Server.</translation>
    </message>
    <message>
      <source>In the folder of a result that was made with 'Keep probabilities'.</source>
      <translation>Im Ordner eines Ergebnisses, das mit 'Wahrscheinlichkeiten behalten' entstand.</translation>
    </message>
    <message>
      <source>Of the result, or such that differ from one in words that compare; empty: all of the result.</source>
      <translation>Sätze des Ergebnisses oder solche, die sich nur in vergleichenden Wörtern unterscheiden; leer: alle.</translation>
    </message>
    <message>
      <source>Result (STEM_result.json)</source>
      <translation>Ergebnis (STEM_result.json)</translation>
    </message>
    <message>
      <source>The folder is that of the result, whose files would go. Choose another one.</source>
      <translation>Der Ordner ist der des Ergebnisses, dessen Dateien verloren gingen. Wählen Sie einen anderen.</translation>
    </message>
    <message>
      <source>Segment by sentence</source>
      <translation>Nach einem Satz segmentieren</translation>
    </message>
    <message>
      <source>Finds what each sentence names in a raster. The polygons have the sentence, its number, the area on the ellipsoid (area_m2), pixels (area_px) and the mean probability; they are drawn in a colour a sentence, more solid where the model is surer. Mask: a band a sentence, 1 found, 0 not, 255 no data. Class map: the number of the most probable sentence.

Words that compare ('the largest', 'upper left') are decided for the whole raster, or for the extent if one is given.</source>
      <translation>Findet in einem Raster, was jeder Satz benennt. Die Polygone haben den Satz, seine Nummer, die Fläche auf dem Ellipsoid (area_m2), Pixel (area_px) und die mittlere Wahrscheinlichkeit; jeder Satz hat eine Farbe, kräftiger, wo das Modell sicherer ist. Maske: ein Kanal je Satz, 1 gefunden, 0 nicht, 255 keine Daten. Klassenkarte: die Nummer des wahrscheinlichsten Satzes.

Vergleichende Wörter ('the largest', 'upper left') werden für das ganze Raster entschieden, oder für die Ausdehnung, wenn eine gegeben ist.</translation>
    </message>
    <message>
      <source>In whole pixels of the raster.</source>
      <translation>In ganzen Pixeln des Rasters.</translation>
    </message>
    <message>
      <source>Raster</source>
      <translation>Raster</translation>
    </message>
    <message>
      <source>Only this extent</source>
      <translation>Nur diese Ausdehnung</translation>
    </message>
    <message>
      <source>Run</source>
      <translation>Ausführen</translation>
    </message>
    <message>
      <source>Keep probabilities in the folder, to refine the result</source>
      <translation>Wahrscheinlichkeiten im Ordner behalten, um das Ergebnis zu verfeinern</translation>
    </message>
    <message>
      <source>As in the settings</source>
      <translation>Wie in den Einstellungen</translation>
    </message>
    <message>
      <source>As a program</source>
      <translation>Als Programm</translation>
    </message>
    <message>
      <source>Over the server</source>
      <translation>Über den Server</translation>
    </message>
    <message>
      <source>the storage tanks; the largest building</source>
      <translation>the storage tanks; the largest building</translation>
    </message>
    <message>
      <source>Several sentences are divided by a semicolon.</source>
      <translation>Mehrere Sätze werden durch Semikolon getrennt.</translation>
    </message>
    <message>
      <source>Sentence</source>
      <translation>Satz</translation>
    </message>
    <message>
      <source>Only what the map shows</source>
      <translation>Nur was die Karte zeigt</translation>
    </message>
    <message>
      <source>While I type</source>
      <translation>Beim Tippen</translation>
    </message>
    <message>
      <source>Segment</source>
      <translation>Segmentieren</translation>
    </message>
    <message>
      <source>Least confidence</source>
      <translation>Mindestkonfidenz</translation>
    </message>
    <message>
      <source>Settings</source>
      <translation>Einstellungen</translation>
    </message>
    <message>
      <source>all</source>
      <translation>alle</translation>
    </message>
    <message>
      <source>Stop</source>
      <translation>Anhalten</translation>
    </message>
    <message>
      <source>What the map shows lies where the raster's CRS does not reach. Zoom to the raster.</source>
      <translation>Was die Karte zeigt, liegt außerhalb des KBS des Rasters. Zoomen Sie auf das Raster.</translation>
    </message>
    <message>
      <source>Over the server {address}</source>
      <translation>Über den Server {address}</translation>
    </message>
    <message>
      <source>As a program: {program}</source>
      <translation>Als Programm: {program}</translation>
    </message>
    <message>
      <source>Press Enter: the raster is too large to be answered while you type.</source>
      <translation>Drücken Sie die Eingabetaste: das Raster ist zu groß für Antworten beim Tippen.</translation>
    </message>
    <message>
      <source>QGIS cannot read {path}, which rs2sam wrote.</source>
      <translation>QGIS kann {path} nicht lesen, das rs2sam geschrieben hat.</translation>
    </message>
    <message>
      <source>A raster layer is needed, but there is none that can be read.</source>
      <translation>Ein Rasterlayer wird gebraucht, aber es gibt keinen lesbaren.</translation>
    </message>
    <message>
      <source>The layer {name} is no file ({kind}). Save the part you need with Layer &gt; Save As... and take that.</source>
      <translation>Der Layer {name} ist keine Datei ({kind}). Speichern Sie den nötigen Teil mit Layer &gt; Speichern als... und nehmen Sie den.</translation>
    </message>
    <message>
      <source>GDAL cannot read {path}.</source>
      <translation>GDAL kann {path} nicht lesen.</translation>
    </message>
    <message>
      <source>The layer {name} has no place on the map, so no part of it can be chosen.</source>
      <translation>Der Layer {name} hat keinen Ort auf der Karte, darum kann kein Teil davon gewählt werden.</translation>
    </message>
    <message>
      <source>The extent lies beside the layer {name}. Choose one that it covers.</source>
      <translation>Die Ausdehnung liegt neben dem Layer {name}. Wählen Sie eine, die er bedeckt.</translation>
    </message>
    <message>
      <source>The part of the raster cannot be written to {path}.</source>
      <translation>Der Teil des Rasters kann nicht nach {path} geschrieben werden.</translation>
    </message>
    <message>
      <source>As a program, in an environment of its own</source>
      <translation>Als Programm, in einer eigenen Umgebung</translation>
    </message>
    <message>
      <source>Over a running server (rs2sam serve)</source>
      <translation>Über einen laufenden Server (rs2sam serve)</translation>
    </message>
    <message>
      <source>rs2sam of the PATH, e.g. /home/me/sam/bin/rs2sam</source>
      <translation>rs2sam des PATH, z. B. /home/me/sam/bin/rs2sam</translation>
    </message>
    <message>
      <source>compact; `rs2sam models` lists the names</source>
      <translation>compact; `rs2sam models` nennt die Namen</translation>
    </message>
    <message>
      <source>Kept unencrypted in the settings of QGIS.</source>
      <translation>Unverschlüsselt in den Einstellungen von QGIS gespeichert.</translation>
    </message>
    <message>
      <source>Try it</source>
      <translation>Ausprobieren</translation>
    </message>
    <message>
      <source>Program</source>
      <translation>Programm</translation>
    </message>
    <message>
      <source>Address</source>
      <translation>Adresse</translation>
    </message>
    <message>
      <source>Token</source>
      <translation>Token</translation>
    </message>
    <message>
      <source>rs2sam {version}, model {model}</source>
      <translation>rs2sam {version}, Modell {model}</translation>
    </message>
    <message>
      <source>confidence</source>
      <translation>Konfidenz</translation>
    </message>
    <message>
      <source>Segment: {sentences}</source>
      <translation>Segmentieren: {sentences}</translation>
    </message>
  </context>
</TS>
