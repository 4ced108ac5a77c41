// Records one team after the other and says which are saved, until it is killed: what the system does to an app.
// Usage: EditUntilKilled FOLDER KEY-IN-HEXADECIMAL

import Foundation
import Toso

let (folder, digits) = (CommandLine.arguments[1], Array(CommandLine.arguments[2]))
let key = Data(stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! })
let toso = try await TosoClient.open(config: TosoConfig(folder: folder, key: key, deviceName: ""), log: nil)
for number in UInt32(1)... {
    let edits = [TeamEdit.householdsCovered(households: number)]
    let id = try await toso.addTeam(team: NewTeam(hamlet: "Thôn \(number)", edits: edits))
    FileHandle.standardOutput.write(Data("saved \(id)\n".utf8))
}
